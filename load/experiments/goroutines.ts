import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Child } from "../child-process.ts";
import { serviceUnder, underLoad, type WarmLoad } from "../lab/closed-loop.ts";
import { defineExperiment, type Variant } from "../lab/experiment.ts";
import { atMost } from "../target.ts";
import { OWN, experiment as storm } from "./storm.ts";

const SOURCE = fileURLToPath(new URL("../goroutines/main.go", import.meta.url));
const [GO_STORM, GO_HTTP] = ["storm: goroutines", "no delays over HTTP: goroutines, no journal"];

function build(directory: string): string {
  const program = join(directory, "goroutines");
  execFileSync("go", ["build", "-o", program, SOURCE], { stdio: ["ignore", 2, 2] });
  return program;
}

export function goStorm(seconds: number): Variant {
  return {
    name: GO_STORM,
    async open({ directory }) {
      const program = build(directory);
      return async () => {
        const { ordersPerSecond } = JSON.parse(execFileSync(program, ["-storm", `${seconds}s`], { encoding: "utf8" }));
        return { figures: { "orders/s": [ordersPerSecond as number, "orders/s"] } };
      };
    },
  };
}

function goHttp(load: WarmLoad): Variant {
  return underLoad(GO_HTTP, load, async ({ directory, stack }) => {
    const program = build(directory);
    const { groups, pid } = stack.use(await Child.start({ program, args: ["-listen", "127.0.0.1:0"], env: {}, up: /API\s+(\S+)/ }));
    return { orderUrl: `${groups[0]}/order`, pid };
  });
}

export const experiment = defineExperiment({
  question: "How do the same orders go in Go?",
  defaults: { warmup: 3, rounds: 3, seconds: 3, connections: 64 },
  lab: { rounds: 2, seconds: 2 },
  missing: () => (spawnSync("go", ["version"]).status === 0 ? undefined : "this needs a Go toolchain, and there is no `go` on the path"),
  variants: (sizes) => [
    ...storm.variants({ ...sizes, orders: sizes.connections }).filter(({ name }) => name === OWN),
    goStorm(sizes.seconds),
    serviceUnder("no delays over HTTP: this service, journal in memory", sizes),
    goHttp(sizes),
  ],
  targets: (seen) => [atMost("threads lost in the storm", seen.most(OWN, "threads lost"), 0)],
});
