import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Variant } from "../lab/experiment.ts";

const SOURCE = fileURLToPath(new URL("main.go", import.meta.url));

/** The storm of failing orders in goroutines; none where there is no Go toolchain. */
export function goStorm(seconds: number): Variant[] {
  if (spawnSync("go", ["version"]).status !== 0) return [];
  const open: Variant["open"] = async ({ directory }) => {
    const program = join(directory, "goroutines");
    execFileSync("go", ["build", "-o", program, SOURCE], { stdio: ["ignore", 2, 2] });
    return async () => {
      const { ordersPerSecond } = JSON.parse(execFileSync(program, ["-storm", `${seconds}s`], { encoding: "utf8" }));
      return { figures: { "orders/s": [ordersPerSecond as number, "orders/s"] } };
    };
  };
  return [{ name: "storm: goroutines", open }];
}
