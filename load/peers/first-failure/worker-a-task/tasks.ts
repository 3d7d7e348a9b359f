import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { alive } from "../alive.ts";

const tasks = {
  async fails(ms: number) {
    await sleep(ms);
    throw new Error("boom");
  },
  async waits(ms: number) {
    for (let n = 0; n < ms; n += 5) {
      await sleep(5);
      alive("w");
    }
  },
  computes(ms: number) {
    for (const end = Date.now() + ms; Date.now() < end; ) alive("c");
  },
};

const { name, ms } = workerData as { readonly name: keyof typeof tasks; readonly ms: number };
parentPort?.postMessage(await tasks[name](ms));
