import { join } from "node:path";
import { pino } from "pino";
import { readConfig } from "../../src/config.ts";
import { perStepSetting } from "../../src/orders/steps.ts";
import { start } from "../../src/service.ts";
import { defineExperiment, eachRound, type Round, type Scope, type Variant } from "../lab/experiment.ts";
import { constantRate, openLoop } from "../open-loop.ts";
import { percentiles, quantile } from "../quantile.ts";
import { startStandIn } from "../stand-in/stand-in.ts";
import { atLeast, atMost } from "../target.ts";

const [RETRIES, NONE] = ["with retries", "without retries"];

interface Sizes {
  readonly seconds: number;
  readonly rate: number;
  readonly failing: number;
}

function variant(name: string, maxTries: number, { seconds, rate, failing }: Sizes): Variant {
  const round = async ({ directory }: Scope, n: number): Promise<Round> => {
    await using stack = new AsyncDisposableStack();
    let [calls, compensations] = [0, 0];
    const standIn = await startStandIn({
      // The same seed: the first calls of both variants get the same answers.
      rates: { vendor: { failBefore: failing / 100, failStatus: 503 } },
      faultModeOf({ step, action }) {
        if (step === "vendor" && action === "perform") calls++;
        else if (step === "vendor") compensations++;
        return undefined;
      },
    });
    stack.defer(() => standIn.close());
    const journal = join(directory, `${n}.db`);
    const settings = {
      PORT: "0",
      ADMIN_PORT: "0",
      JOURNAL: journal,
      COURIER_CAPACITY: "128",
      ...perStepSetting("URL", () => standIn.url),
    };
    const onFatal = (reason: string) => process.stderr.write(`${reason}\n`);
    const service = await start(readConfig(settings), pino({ level: "silent" }), { providerHealth: { maxTries }, onFatal });
    stack.defer(() => service.stop());
    const order = (n: number) => ({ order_id: `order ${n}`, amount: 100 });
    const { port } = service.publicListener;
    const { statuses, latenciesMs, broken } = await openLoop({ port, arrivalsMs: constantRate(rate, seconds), order });
    if (broken > 0) throw new Error(`${broken} connections broke`);
    const orders = latenciesMs.length;
    return {
      latencyMs: percentiles(latenciesMs),
      figures: {
        placed: [statuses.get(200) ?? 0, `of ${orders}`],
        "vendor's calls per order": [calls / orders, ""],
        "vendor's compensations": [compensations, ""],
        p50: [quantile(latenciesMs, 0.5), "ms"],
        p99: [quantile(latenciesMs, 0.99), "ms"],
      },
    };
  };
  return eachRound(name, round, false);
}

export const experiment = defineExperiment({
  question: "How many orders are placed while the vendor fails half its calls, with retries and without?",
  defaults: { rounds: 1, seconds: 20, rate: 40, failing: 50 },
  about: { rate: "orders per second", failing: "percent of the vendor's calls that fail" },
  lab: { seconds: 10 },
  variants: (sizes) => [variant(NONE, 1, sizes), variant(RETRIES, 3, sizes)],
  targets: (seen) => [
    atMost("calls per order with retries", seen.median(RETRIES, "vendor's calls per order"), 1.2),
    atLeast("orders placed, more than without retries", seen.median(RETRIES, "placed") - seen.median(NONE, "placed"), 1),
  ],
});
