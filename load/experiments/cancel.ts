import { availableParallelism } from "node:os";
import type { OrderOutcome } from "../../src/orders/outcome.ts";
import type { Simulation } from "../../src/orders/step.ts";
import { defineExperiment, type Round, type Variant } from "../lab/experiment.ts";
import { opened } from "../peers/notes.ts";
import { type Kind, PEERS, type Peer } from "../peers/pools.ts";
import { pipelineOf } from "../pipeline-in-process.ts";
import { percentiles, quantile } from "../quantile.ts";
import { atMost } from "../target.ts";

const SIBLING_MS = 800;
// Long enough for the siblings to have begun on their threads, short enough for thousands of orders.
const FAILS_AFTER_MS = 3;
const WARM_UP = 200;
/** With one computing sibling only: with more computing threads than processors this would measure the system's scheduler. */
const CASES: Readonly<Record<string, { readonly simulation: Simulation; readonly sibling: Kind; readonly signals: number }>> = {
  "sleeping siblings": {
    simulation: { failStep: "payment", delayMs: { payment: FAILS_AFTER_MS, vendor: SIBLING_MS, courier: SIBLING_MS } },
    sibling: "wait",
    signals: Number.POSITIVE_INFINITY,
  },
  "computing sibling": {
    simulation: { failStep: "payment", delayMs: { payment: FAILS_AFTER_MS, courier: 0 }, cpuMs: { vendor: SIBLING_MS } },
    sibling: "compute",
    // Each runs to its end, so a few say it.
    signals: 1,
  },
};

/** From the moment the payment failed on its thread until each canceled sibling had stopped on its own. */
function latenciesOf({ steps }: OrderOutcome): number[] {
  const failed = steps.find(({ outcome }) => outcome.status === "failed");
  const canceled = steps.filter(({ outcome }) => outcome.status === "canceled");
  if (failed === undefined || canceled.length === 0) throw new Error("the order did not fail as it should have");
  return canceled.map(({ endedAtMs }) => endedAtMs - failed.endedAtMs);
}

function roundOf(latencies: readonly number[], replaced: number): Round {
  const [p50, p99] = [quantile(latencies, 0.5), quantile(latencies, 0.99)];
  return { latencyMs: percentiles(latencies), figures: { p50: [p50, "ms"], p99: [p99, "ms"], "threads replaced": [replaced, ""] } };
}

function byBoard(name: string, simulation: Simulation, orders: number): Variant {
  return {
    name,
    ofTree: true,
    async open({ stack, script }) {
      const threads = availableParallelism();
      const PipelineInProcess = await pipelineOf(script);
      const pipeline = stack.use(await PipelineInProcess.start({ threads, cpuThreads: threads, orders: 1 }));
      for (let n = 0; n < WARM_UP; n++) await pipeline.run(simulation);
      return async () => {
        const latencies: number[] = [];
        for (let n = 0; n < orders; n++) latencies.push(...latenciesOf(await pipeline.run(simulation)));
        return roundOf(latencies, pipeline.threadsReplaced);
      };
    },
  };
}

function bySignal(name: string, kind: Kind, orders: number): Variant {
  return {
    name: `${name}, transferable signal`,
    async open({ stack }) {
      // One step a thread, as a computing one needs.
      const { pool, notes } = stack.use(await opened(PEERS["transferable-signal"] as Peer, Math.max(2, availableParallelism())));
      return async () => {
        const latencies: number[] = [];
        for (let n = 0; n < orders; n++) {
          const [failing, beside] = [notes.take(), notes.take()];
          const failed = pool.run({ kind: "fail", ms: FAILS_AFTER_MS, cell: failing });
          const sibling = pool.run({ kind, ms: SIBLING_MS, cell: beside });
          await failed.settled;
          sibling.cancel();
          await sibling.settled;
          latencies.push(notes.endedAt(beside) - notes.endedAt(failing));
        }
        return roundOf(latencies, 0);
      };
    },
  };
}

export const experiment = defineExperiment({
  question: "How long does it take from the first failure on one thread until the siblings have stopped on theirs?",
  defaults: { rounds: 3, orders: 1000 },
  about: { orders: "of a round, one after the other" },
  lab: { orders: 500 },
  variants: ({ orders }) =>
    Object.entries(CASES).flatMap(([name, { simulation, sibling, signals }]) => [
      byBoard(name, simulation, orders),
      bySignal(name, sibling, Math.min(orders, signals)),
    ]),
  targets: (seen) =>
    Object.keys(CASES).flatMap((name) => [
      atMost(`${name}, p50`, seen.median(name, "p50"), 0.2, " ms"),
      atMost(`${name}, p99`, seen.median(name, "p99"), 2, " ms"),
      atMost(`${name}: threads replaced`, seen.most(name, "threads replaced"), 0),
    ]),
});
