import { availableParallelism } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { monotonicMs } from "../../src/threads/index.ts";
import { Child } from "../child-process.ts";
import { closedLoop } from "../lab/closed-loop.ts";
import { defineExperiment, eachRound, type Round } from "../lab/experiment.ts";
import { opened } from "../peers/notes.ts";
import { OWN, PEERS, type Peer } from "../peers/pools.ts";
import { quantile } from "../quantile.ts";
import { ServerProcess } from "../server-process.ts";
import { atLeast, atMost } from "../target.ts";
import { settledCounters } from "../thread-counters.ts";

const NAME = "nice 15 beside a busy loop per processor";
const NICENESS = 15;
const ORDER = { amount: 7, fail_step: "payment", delay_ms: { payment: 5, vendor: 800, courier: 800 } };

const BURST = 4_000;
const BESIDE = `a task of 0 ms beside ${BURST} of 1 ms on one thread`;
// Between two of the short tasks: else they would be a burst of their own.
const PAUSE_MS = 3;

/** How long a short task takes that comes to a thread in the midst of a burst; how many of all tasks were lost. */
async function besideBurst(): Promise<Round> {
  await using at = await opened(PEERS[OWN] as Peer, 1);
  const { pool, notes } = at;
  let lost = 0;
  let burstIsOver = false;
  const cell = notes.take();
  const tasks = [cell, ...Array.from({ length: BURST - 1 }, () => 0)].map((cell) => pool.run({ kind: "compute", ms: 1, cell }));
  const burst = Promise.all(tasks.map(async ({ settled }) => void ((await settled) || lost++))).finally(() => (burstIsOver = true));
  await notes.started(cell, tasks[0] as (typeof tasks)[0]);
  const latencies: number[] = [];
  for (;;) {
    const beganMs = monotonicMs();
    if (!(await pool.run({ kind: "empty", ms: 0, cell: 0 }).settled)) lost++;
    // The last ones had nobody beside them.
    if (burstIsOver) break;
    latencies.push(monotonicMs() - beganMs);
    await pause(PAUSE_MS);
  }
  await burst;
  return {
    figures: {
      "short task, p50": [quantile(latencies, 0.5), "ms"],
      "short task, p99": [quantile(latencies, 0.99), "ms"],
      "tasks lost": [lost, ""],
      "threads lost": [await at.threadsLost(), ""],
    },
  };
}

export const experiment = defineExperiment({
  question: "Is any healthy thread replaced when the service gets hardly any processor time, and does a short task wait for a burst?",
  // Each client waits for its answer before its next order, so together they load the service fully, but no more.
  defaults: { rounds: 1, seconds: 60, connections: 32 },
  lab: { seconds: 10 },
  variants: (load) => [
    {
      name: NAME,
      async open({ stack, script }) {
        // The starved service may take long for an order; the deadline is not in question.
        const server = stack.use(await ServerProcess.start({ ORDER_TIMEOUT_MS: "60000", COURIER_CAPACITY: "128" }, script, NICENESS));
        const { orderUrl, pid, adminUrl } = server;
        return async () => {
          await using loops = new AsyncDisposableStack();
          // They end by themselves, also where nobody is left to end them.
          const loop = `console.log('busy'); for (const end = Date.now() + ${2 * load.seconds * 1_000}; Date.now() < end; );`;
          for (let n = 0; n < availableParallelism(); n++) loops.use(await Child.start({ args: ["-e", loop], env: {}, up: /busy/ }));
          const { driven, figures, ...rest } = await closedLoop(
            { orderUrl, pid },
            { ...load, order: ORDER, answerHas: '"payment_declined"' },
          );
          await loops.disposeAsync();
          const { replaced, running } = await settledCounters(adminUrl);
          return {
            ...rest,
            figures: {
              ...figures,
              p50: [driven.latencyMs.p50, "ms"],
              p99: [driven.latencyMs.p99, "ms"],
              "threads replaced": [replaced, ""],
              "steps left": [running, ""],
            },
          };
        };
      },
    },
    eachRound(BESIDE, besideBurst, false),
  ],
  targets: (seen) => [
    atLeast("orders/s", seen.median(NAME, "orders/s"), 1),
    atMost("healthy threads replaced", seen.most(NAME, "threads replaced"), 0),
    atMost("steps still running", seen.most(NAME, "steps left"), 0),
    atMost("a short task beside a burst, p99", seen.median(BESIDE, "short task, p99"), 25, " ms"),
    atMost("tasks lost by the burst", seen.most(BESIDE, "tasks lost"), 0),
    atMost("threads lost by the burst", seen.most(BESIDE, "threads lost"), 0),
  ],
});
