import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { readConfig } from "../../src/config.ts";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const UNIT = readFileSync(join(PROJECT, "deploy/systemd/order-pipeline.service"), "utf8");
const INSTALLED = "/opt/order-pipeline";
// Of 10 tenths each; what is left is what an HTTP server on V8 needs: the network, the host's file system, executable memory.
const MAX_EXPOSURE = 20;

const WITHOUT_SYSTEMD = spawnSync("systemd-analyze", ["--version"]).status === 0 ? undefined : "systemd-analyze is not installed";
if (WITHOUT_SYSTEMD !== undefined) console.warn(`the systemd unit is not verified: ${WITHOUT_SYSTEMD}`);

function analyze(text: string, ...args: string[]): { status: number | null; output: string } {
  const directory = mkdtempSync(join(tmpdir(), "unit-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, "order-pipeline.service");
  // Its command has to be there.
  writeFileSync(file, text.replaceAll(INSTALLED, PROJECT));
  const { status, stdout, stderr } = spawnSync("systemd-analyze", [...args, file], { encoding: "utf8" });
  // It also says what is wrong with other units of the machine.
  const lines = (stdout + stderr).split("\n").filter((line) => line.includes("order-pipeline"));
  return { status, output: lines.join("\n") };
}

/** The values of a directive, in order. */
const valuesOf = (name: string) => [...UNIT.matchAll(new RegExp(`^${name}=(.*)$`, "gm"))].map(([, value]) => value ?? "");

describe("deploy/systemd/order-pipeline.service", () => {
  test.skipIf(WITHOUT_SYSTEMD !== undefined)("is verified by systemd-analyze, which knows what is wrong", () => {
    expect(analyze(UNIT, "verify")).toEqual({ status: 0, output: "" });
    expect(analyze(UNIT.replace("ProtectHome=", "ProtectHomes="), "verify").output).toContain("ProtectHomes");
  });

  test.skipIf(WITHOUT_SYSTEMD !== undefined)("leaves little exposed", () => {
    const { status, output } = analyze(UNIT, "security", "--offline=true", `--threshold=${MAX_EXPOSURE}`);
    expect(output).toContain("Overall exposure level");
    expect([status, status === 0 ? "" : output]).toEqual([0, ""]);
  });

  test("sets what exists, in places that the service may write to", () => {
    const settings = Object.fromEntries(valuesOf("Environment").map((pair) => pair.split("=") as [string, string]));
    const { NODE_COMPILE_CACHE, ...own } = settings;
    const config = readConfig(own);
    expect(Object.keys(own).filter((name) => !(name in config))).toEqual([]);
    const [state, backups] = valuesOf("StateDirectory")[0]?.split(" ") ?? [];
    expect([own.JOURNAL, own.BACKUP_DIR, NODE_COMPILE_CACHE]).toEqual([
      `%S/${state}/orders.db`,
      `%S/${backups}`,
      `%C/${valuesOf("CacheDirectory")[0]}`,
    ]);
    // Without a file to read again a SIGHUP would end the process.
    expect(own.ADMIN_KEYS_FILE).toMatch(/^\/etc\//);
  });

  test("gives the drain its time and the connections their descriptors, and starts again whatever happens", () => {
    const { SHUTDOWN_TIMEOUT_MS, MAX_CONNECTIONS, PAYMENT_CAPACITY, VENDOR_CAPACITY, COURIER_CAPACITY } = readConfig({});
    expect(Number(valuesOf("TimeoutStopSec")[0]) * 1_000).toBeGreaterThanOrEqual(SHUTDOWN_TIMEOUT_MS + 5_000);
    const sockets = MAX_CONNECTIONS + PAYMENT_CAPACITY + VENDOR_CAPACITY + COURIER_CAPACITY;
    expect(Number(valuesOf("LimitNOFILE")[0])).toBeGreaterThan(2 * sockets);
    expect(valuesOf("Restart")).toEqual(["always"]);
  });
});
