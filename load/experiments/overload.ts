import { availableParallelism } from "node:os";
import { join } from "node:path";
import { STEPS } from "../../src/orders/steps.ts";
import { defineExperiment, eachRound, type Variant } from "../lab/experiment.ts";
import { residentKiB } from "../lab/proc.ts";
import { type Ended, idealLine, poisson, sendOrders } from "../lab/random-orders.ts";
import { quantile } from "../quantile.ts";
import { ServerProcess } from "../server-process.ts";
import { randomFrom } from "../stand-in/random.ts";
import { atLeast, atMost } from "../target.ts";
import { settledCounters } from "../thread-counters.ts";

// The heaviest first: each lighter load meets what the one before has left and taught.
const FACTORS = [10, 3, 1.1, 0.9, 0.6];
const TIMEOUT_MS = 2_000;
const COURIERS = 5;
const SLOW = { payment: 100, vendor: 100, courier: 1_100 };
const COMPUTING_MS = 200;

interface Bottleneck {
  readonly servers: number;
  readonly holdMs: number;
  readonly order: object;
}

const BOTTLENECKS: Readonly<Record<string, Bottleneck>> = {
  "couriers of 0.1 s": { servers: COURIERS, holdMs: 100, order: { amount: 1200 } },
  "couriers of 1.1 s": { servers: COURIERS, holdMs: SLOW.courier, order: { amount: 1200, delay_ms: SLOW } },
  "threads of 0.2 s": {
    servers: availableParallelism(),
    holdMs: COMPUTING_MS,
    order: { amount: 1200, delay_ms: { payment: 0, courier: 0 }, cpu_ms: { vendor: COMPUTING_MS } },
  },
};

const of = (ended: readonly Ended[], end: Ended["end"]) => ended.filter((one) => one.end === end);

function variant(name: string, { servers, holdMs, order }: Bottleneck, seconds: number, seed: number): Variant {
  return eachRound(name, async ({ script, directory }, round) => {
    const settings = {
      JOURNAL: join(directory, `${round}.db`),
      ORDER_TIMEOUT_MS: String(TIMEOUT_MS),
      COURIER_CAPACITY: String(COURIERS),
      CPU_THREADS: String(availableParallelism()),
    };
    await using server = await ServerProcess.start(settings, script);
    // Nobody has computed or called anybody yet, so the service knows no hold; and its code is not compiled.
    const all = [...(await sendOrders(server.port, Array(servers).fill(0), order))];
    const figures: Record<string, readonly [number, string]> = {};
    for (const factor of FACTORS) {
      const random = randomFrom(`${seed + round} ${name}, ${factor}`);
      const arrivals = poisson(random, (factor * servers * 1_000) / holdMs, seconds, () => ({ holdMs }));
      const inTime = (doneMs: number): boolean => doneMs <= seconds * 1_000;
      const ideal = idealLine(arrivals, { limit: servers, timeoutMs: TIMEOUT_MS }).filter(inTime).length;
      const ended = await sendOrders(
        server.port,
        arrivals.map(({ atMs }) => atMs),
        order,
      );
      all.push(...ended);
      const [placed, failed, refused] = [of(ended, "placed"), of(ended, "failed"), of(ended, "refused")];
      const at = `${factor} x: `;
      figures[`${at}goodput of an ideal line`] = [placed.filter(({ doneMs }) => inTime(doneMs)).length / ideal, ""];
      figures[`${at}accepted and failed`] = [(100 * failed.length) / Math.max(1, placed.length + failed.length), "%"];
      figures[`${at}time to a refusal, p99`] = [
        refused.length === 0
          ? 0
          : quantile(
              refused.map(({ latencyMs }) => latencyMs),
              0.99,
            ),
        "ms",
      ];
    }
    // Steps that ran and belong to no order that was accepted. A failed order may have run all and compensated all.
    const { started } = await settledCounters(server.adminUrl);
    const allowed = STEPS.length * (of(all, "placed").length + 2 * of(all, "failed").length);
    figures["steps run for refused orders"] = [Math.max(0, started - allowed), ""];
    figures.memory = [residentKiB(server.pid) / 1_024, "MiB"];
    return { figures };
  });
}

export const experiment = defineExperiment({
  question:
    "How many orders are placed at 0.6 to 10 times what couriers or threads can serve, beside an ideal line with the same arrivals?",
  defaults: { rounds: 1, seconds: 12, seed: 1 },
  about: { seconds: "for each load, the heaviest first", seed: "of the moments at which orders come" },
  lab: { seconds: 4 },
  variants: ({ seconds, seed }) => Object.entries(BOTTLENECKS).map(([name, bottleneck]) => variant(name, bottleneck, seconds, seed)),
  targets: (seen) =>
    Object.keys(BOTTLENECKS).flatMap((name) => [
      ...FACTORS.flatMap((factor) => [
        atLeast(
          `${name}, ${factor} x: goodput over that of an ideal line`,
          seen.median(name, `${factor} x: goodput of an ideal line`),
          0.9,
        ),
        atMost(`${name}, ${factor} x: accepted orders that fail`, seen.median(name, `${factor} x: accepted and failed`), 1, " %"),
        atMost(`${name}, ${factor} x: time to a refusal, p99`, seen.median(name, `${factor} x: time to a refusal, p99`), 50, " ms"),
      ]),
      atMost(`${name}: steps run for refused orders`, seen.most(name, "steps run for refused orders"), 0),
    ]),
});
