import { availableParallelism } from "node:os";
import { Child } from "../child-process.ts";
import { closedLoop } from "../lab/closed-loop.ts";
import { defineExperiment } from "../lab/experiment.ts";
import { ServerProcess } from "../server-process.ts";
import { atLeast, atMost } from "../target.ts";
import { settledCounters } from "../thread-counters.ts";

const NAME = "nice 15 beside a busy loop per processor";
const NICENESS = 15;
const ORDER = { amount: 7, fail_step: "payment", delay_ms: { payment: 5, vendor: 800, courier: 800 } };

export const experiment = defineExperiment({
  question: "Is any healthy thread replaced when the service gets hardly any processor time?",
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
  ],
  targets: (seen) => [
    atLeast("orders/s", seen.median(NAME, "orders/s"), 1),
    atMost("healthy threads replaced", seen.most(NAME, "threads replaced"), 0),
    atMost("steps still running", seen.most(NAME, "steps left"), 0),
  ],
});
