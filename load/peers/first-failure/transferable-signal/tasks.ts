import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { parentPort } from "node:worker_threads";
import { alive } from "../alive.ts";

export interface Request {
  readonly id: number;
  readonly name: keyof typeof tasks;
  readonly ms: number;
  readonly signal: AbortSignal;
}

const tasks = {
  async fails(ms: number, signal: AbortSignal) {
    await sleep(ms, undefined, { signal });
    throw new Error("boom");
  },
  async waits(ms: number, signal: AbortSignal) {
    for (let n = 0; n < ms; n += 5) {
      await sleep(5, undefined, { signal });
      alive("w");
    }
  },
  async computes(ms: number, signal: AbortSignal) {
    for (const end = Date.now() + ms; Date.now() < end; ) {
      await turn(undefined, { signal });
      alive("c");
    }
  },
};

parentPort?.on("message", async ({ id, name, ms, signal }: Request) => {
  try {
    parentPort?.postMessage({ id, value: await tasks[name](ms, signal) });
  } catch (error) {
    parentPort?.postMessage({ id, error });
  }
});
