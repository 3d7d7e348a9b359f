import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { neededMib, type ThreadCounts } from "../../src/composition/memory.ts";
import { defineExperiment, type Variant } from "../lab/experiment.ts";
import { residentKiB } from "../lab/proc.ts";
import { ServerProcess } from "../server-process.ts";
import { atMost } from "../target.ts";
import { readCounters } from "../thread-counters.ts";

const REST_MS = 2_000;
const LOOK_EVERY_MS = 50;
const ALL_UP = "when all are up";
const counts = (THREADS: number, CPU_THREADS: number): ThreadCounts => ({ THREADS, CPU_THREADS });
const COUNTS = [counts(1, 1), counts(4, 1), counts(1, 8), counts(4, 8), counts(16, 16), counts(27, 27)];
const nameOf = ({ THREADS, CPU_THREADS }: ThreadCounts) => `THREADS=${THREADS} CPU_THREADS=${CPU_THREADS}`;

async function atRestMib({ pid }: ServerProcess): Promise<readonly [number, string]> {
  await pause(REST_MS);
  return [residentKiB(pid) / 1024, "MiB"];
}

function variant(count: ThreadCounts): Variant {
  const { THREADS, CPU_THREADS } = count;
  return {
    name: nameOf(count),
    ofTree: true,
    async open({ directory, script }) {
      const settings = { JOURNAL: join(directory, "orders.db"), THREADS: `${THREADS}`, CPU_THREADS: `${CPU_THREADS}` };
      const start = () => ServerProcess.start(settings, join(script, "../start.js"));
      let orders = 0;
      // The first start compiles and leaves a cache behind.
      await (await start()).stop();
      return async () => {
        await using server = await start();
        const atRest = await atRestMib(server);
        // The threads that compute start with the first order that does.
        const body = JSON.stringify({ order_id: `computes-${orders++}`, amount: 1200, cpu_ms: { vendor: 1 } });
        const answer = await fetch(server.orderUrl, { method: "POST", headers: { "content-type": "application/json" }, body });
        if (!answer.ok) throw new Error(`the order that computes was answered with ${answer.status}: ${await answer.text()}`);
        while ((await readCounters(server.adminUrl)).threads.length < THREADS + CPU_THREADS) await pause(LOOK_EVERY_MS);
        return { figures: { "at rest": atRest, [ALL_UP]: await atRestMib(server) } };
      };
    },
  };
}

export const experiment = defineExperiment({
  question: "What memory does the service hold with so many threads, at rest and after the first order that computes?",
  defaults: { rounds: 3 },
  lab: { rounds: 1 },
  variants: () => COUNTS.map(variant),
  // What a start asks for has to leave room for orders and what steps compute with.
  targets: (seen) => COUNTS.map((count) => atMost(nameOf(count), seen.most(nameOf(count), ALL_UP), neededMib(count), " MiB")),
});
