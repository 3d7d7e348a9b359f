import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { StepName } from "../../src/orders/steps.ts";
import type { FaultRateSettings } from "./fault-rates.ts";
import type { DownMode } from "./flaky-listener.ts";
import type { LedgerCounts, LedgerSnapshot } from "./ledger.ts";

const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));

/** A stand-in in a process of its own: its ledger outlives the order service. */
export interface SpawnedStandIn {
  /** For the steps' `..._URL` settings: one address for all, or one for each. */
  readonly url: string;
  readonly urls: Readonly<Record<StepName, string>>;
  readonly controlUrl: string;
  readonly process: ChildProcess;
  ledger(): Promise<LedgerSnapshot>;
  /** Cheap, however long the ledger. */
  counts(): Promise<LedgerCounts & { readonly pending: number }>;
  underWay(): Promise<Readonly<Record<StepName, number>>>;
  setFaultRates(rates: FaultRateSettings): Promise<void>;
  /** Goes down for so long (undefined: until `up`) at `url`, or at the address of one step alone. Resolves when it has begun. */
  down(ms: number | undefined, mode?: DownMode, step?: StepName): Promise<void>;
  /** Resolves when it is up. */
  up(step?: StepName): Promise<void>;
  /** Waits until nothing is left that it would do later, and returns the ledger. */
  quiet(): Promise<LedgerSnapshot>;
  close(): Promise<void>;
}

/** Starts one and waits until it listens. It ends with `close`, or with this process, however that ends. */
export async function spawnStandIn(options: { seed?: string; rates?: FaultRateSettings; port?: number } = {}): Promise<SpawnedStandIn> {
  const { seed = "1", rates = {}, port = 0 } = options;
  const args = [MAIN, "--until-stdin-ends", "--port", String(port), "--seed", seed, "--rates", JSON.stringify(rates)];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const [line] = (await Promise.race([
    once(createInterface(child.stdout), "line"),
    exited.then(([code]) => Promise.reject(new Error(`the stand-in ended with ${code} before it listened`))),
  ])) as [string];
  const { url, urls, controlUrl } = JSON.parse(line) as Pick<SpawnedStandIn, "url" | "urls" | "controlUrl">;

  const ask = async (path: string, body?: object): Promise<unknown> => {
    const response = await fetch(`${controlUrl}${path}`, body === undefined ? {} : { method: "POST", body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  };
  const ledger = () => ask("/ledger") as Promise<LedgerSnapshot>;
  return {
    url,
    urls,
    controlUrl,
    process: child,
    ledger,
    counts: () => ask("/counts") as ReturnType<SpawnedStandIn["counts"]>,
    underWay: () => ask("/under-way") as ReturnType<SpawnedStandIn["underWay"]>,
    setFaultRates: async (next) => void (await ask("/control", next)),
    down: async (ms, mode = "refuse", step) => void (await ask("/control/down", { ms, mode, step })),
    up: async (step) => void (await ask("/control/up", { step })),
    async quiet() {
      for (;;) {
        const snapshot = await ledger();
        if (snapshot.pending === 0) return snapshot;
        await sleep(20);
      }
    },
    async close() {
      child.kill("SIGTERM");
      await exited;
    },
  };
}
