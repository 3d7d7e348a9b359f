import { availableParallelism } from "node:os";
import { atATime } from "../at-a-time.ts";
import { PiscinaOrders } from "../baseline/piscina-orders.ts";
import { SignalOrders } from "../baseline/signal-orders.ts";
import { defineExperiment, eachRound, type Round, type Variant } from "../lab/experiment.ts";
import { PipelineInProcess } from "../pipeline-in-process.ts";
import { atLeast, atMost } from "../target.ts";

export const OWN = "this pipeline";
const SIGNAL = "transferable AbortSignal";
const piscinaWith = (threads: number) => `Piscina's signal, ${threads} threads`;
const STEPS_AN_ORDER = 3;
const [FAILS, SIBLING] = [
  { ms: 5, fails: true },
  { ms: 800, fails: false },
];
const STEPS = [FAILS, SIBLING, SIBLING];
/**
 * Piscina gives an abortable task a thread of its own. Few threads: the one lost has little to compete with for the processor while its
 * successor starts. One an order: the steps of other orders queue, and an abort in the queue is free. One a step: none queues. Whichever is
 * best on this machine is what counts.
 */
const threadsOfPiscina = (orders: number): readonly number[] => [8, orders, orders * STEPS_AN_ORDER];

interface Storm extends AsyncDisposable {
  /** Runs an order whose payment fails. Throws when it ends in another way. */
  order(): Promise<unknown>;
  threadsLost(): number;
}

/** Each round starts threads of its own. */
function variant(name: string, orders: number, seconds: number, start: () => Promise<Storm>): Variant {
  const round = async (): Promise<Round> => {
    await using storm = await start();
    let done = 0;
    const before = process.cpuUsage();
    const perSecond = await atATime(orders, seconds, async () => {
      await storm.order();
      done++;
    });
    const { user, system } = process.cpuUsage(before);
    const cpu = (user + system) / done;
    return { figures: { "orders/s": [perSecond, "orders/s"], "CPU per order": [cpu, "us"], "threads lost": [storm.threadsLost(), ""] } };
  };
  return eachRound(name, round, false);
}

async function own(orders: number): Promise<Storm> {
  const pipeline = await PipelineInProcess.start({ threads: availableParallelism(), cpuThreads: 1, orders });
  const delayMs = { payment: FAILS.ms, vendor: SIBLING.ms, courier: SIBLING.ms };
  return {
    async order() {
      const { error } = await pipeline.run({ failStep: "payment", delayMs });
      if (error !== "payment_declined") throw new Error(`an order ended with ${error} instead of payment_declined`);
    },
    threadsLost: () => pipeline.threadsReplaced,
    [Symbol.asyncDispose]: () => pipeline[Symbol.asyncDispose](),
  };
}

async function piscina(threads: number): Promise<Storm> {
  const orders = await PiscinaOrders.start(threads);
  return {
    order: () => orders.run(STEPS),
    threadsLost: () => orders.threadsDestroyed,
    [Symbol.asyncDispose]: () => orders[Symbol.asyncDispose](),
  };
}

async function signal(count: number): Promise<Storm> {
  const orders = await SignalOrders.start(availableParallelism(), count * STEPS_AN_ORDER);
  return {
    async order() {
      const [first] = await orders.run(STEPS);
      if (first?.failed !== true) throw new Error("an order did not fail as it should have");
    },
    threadsLost: () => 0,
    [Symbol.asyncDispose]: () => orders[Symbol.asyncDispose](),
  };
}

export const experiment = defineExperiment({
  question: "How many orders fail per second whose payment fails after 5 ms while their siblings would take 800 ms?",
  defaults: { rounds: 3, seconds: 3, orders: 64 },
  about: { orders: "at one time" },
  lab: { rounds: 2, seconds: 2 },
  variants: ({ orders, seconds }) => [
    variant(OWN, orders, seconds, () => own(orders)),
    variant(SIGNAL, orders, seconds, () => signal(orders)),
    ...threadsOfPiscina(orders).map((threads) => variant(piscinaWith(threads), orders, seconds, () => piscina(threads))),
  ],
  targets: (seen, { orders }) => [
    atLeast(
      "orders/s over those of Piscina's signal with the best number of threads",
      Math.min(...threadsOfPiscina(orders).map((threads) => seen.ratio("orders/s", OWN, piscinaWith(threads)))),
      40,
    ),
    // Most of the difference is the cost to make, send and abort a signal, which differs between machines.
    atLeast("orders/s over those of transferable signals", seen.ratio("orders/s", OWN, SIGNAL), 1.5),
    atMost("threads lost", seen.most(OWN, "threads lost"), 0),
  ],
});
