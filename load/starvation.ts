import { availableParallelism } from "node:os";
import { Child } from "./child-process.ts";
import { drive } from "./drive.ts";
import { readNumbers } from "./long-run/numbers.ts";
import { runBench } from "./run-bench.ts";
import { ServerProcess } from "./server-process.ts";
import { atLeast, atMost } from "./target.ts";
import { settledCounters } from "./thread-counters.ts";

const USAGE = `Starves the service of processor time: it runs with nice 15 beside one busy loop for each processor. Orders fail and have
siblings to cancel. No thread is stuck, so none may be replaced. Needs the program nice.

usage: npm run test:starvation -- [--seconds N]

  --seconds N  of load (default: 60)
`;
const NICENESS = 15;
// Each client waits for its answer before its next order, so together they load the service fully, but no more.
const CONNECTIONS = 32;
const ORDER = { amount: 7, fail_step: "payment", delay_ms: { payment: 5, vendor: 800, courier: 800 } };

runBench(async () => {
  const options = readNumbers(USAGE, { seconds: 60 });
  if (options === undefined) return [];
  // The starved service may take long for an order; this run does not test the deadline.
  const settings = { ORDER_TIMEOUT_MS: "60000", COURIER_CAPACITY: "128" };
  await using server = await ServerProcess.start(settings, undefined, NICENESS);
  const loops = await Promise.all(
    Array.from({ length: availableParallelism() }, () =>
      Child.start({ args: ["-e", "console.log('busy'); for (;;);"], env: {}, up: /busy/ }),
    ),
  );
  const result = await drive({
    url: server.orderUrl,
    connections: CONNECTIONS,
    seconds: options.seconds,
    order: ORDER,
    answerHas: '"payment_declined"',
  });
  for (const loop of loops) await loop[Symbol.asyncDispose]();
  const { replaced, running } = await settledCounters(server.adminUrl);
  process.stdout.write(
    `${result.answers} failed orders in ${options.seconds} s, p50 ${result.latencyMs.p50} ms, p99 ${result.latencyMs.p99} ms\n`,
  );
  return [
    atLeast("orders", result.answers, options.seconds),
    atMost("healthy threads replaced", replaced, 0),
    atMost("answers other than payment_declined", result.wrongBodies, 0),
    atMost("steps still running", running, 0),
  ];
});
