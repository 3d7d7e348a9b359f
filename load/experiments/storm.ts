import { availableParallelism } from "node:os";
import { atATime } from "../at-a-time.ts";
import { defineExperiment, eachRound, type Round, type Scope, type Variant } from "../lab/experiment.ts";
import { opened } from "../peers/notes.ts";
import { type Job, PEERS, type Peer, type Pool } from "../peers/pools.ts";
import { pipelineOf } from "../pipeline-in-process.ts";
import { atLeast, atMost } from "../target.ts";

export const OWN = "this pipeline";
const SIGNAL = "transferable AbortSignal";
const piscinaWith = (threads: number) => `Piscina's signal, ${threads} threads`;
const STEPS_AN_ORDER = 3;
const [FAILS_AFTER_MS, SIBLING_MS] = [5, 800];
const FAILS: Job = { kind: "fail", ms: FAILS_AFTER_MS, cell: 0 };
const SIBLING: Job = { kind: "wait", ms: SIBLING_MS, cell: 0 };
/**
 * Piscina gives an abortable task a thread of its own. Few threads: the one lost has little to compete with for the processor while its
 * successor starts. One an order: the steps of other orders queue, and an abort in the queue is free. One a step: none queues. Whichever is
 * best on this machine is what counts.
 */
const threadsOfPiscina = (orders: number): readonly number[] => [8, orders, orders * STEPS_AN_ORDER];

interface Storm extends AsyncDisposable {
  /** Runs an order whose payment fails. Throws when it ends in another way. */
  order(): Promise<unknown>;
  threadsLost(): Promise<number>;
}

/** Each round starts threads of its own. */
function variant(name: string, orders: number, seconds: number, start: (scope: Scope) => Promise<Storm>, ofTree = false): Variant {
  const round = async (scope: Scope): Promise<Round> => {
    await using storm = await start(scope);
    const before = process.cpuUsage();
    const { done, perSecond } = await atATime(orders, seconds, () => storm.order());
    const { user, system } = process.cpuUsage(before);
    const cpu = (user + system) / done;
    return {
      figures: { "orders/s": [perSecond, "orders/s"], "CPU per order": [cpu, "us"], "threads lost": [await storm.threadsLost(), ""] },
    };
  };
  return eachRound(name, round, ofTree);
}

async function own(orders: number, { script }: Scope): Promise<Storm> {
  const PipelineInProcess = await pipelineOf(script);
  const pipeline = await PipelineInProcess.start({ threads: availableParallelism(), cpuThreads: 1, orders });
  const delayMs = { payment: FAILS_AFTER_MS, vendor: SIBLING_MS, courier: SIBLING_MS };
  return {
    async order() {
      const { error } = await pipeline.run({ failStep: "payment", delayMs });
      if (error !== "payment_declined") throw new Error(`an order ended with ${error} instead of payment_declined`);
    },
    threadsLost: async () => pipeline.threadsReplaced,
    [Symbol.asyncDispose]: () => pipeline[Symbol.asyncDispose](),
  };
}

/** Orders as anyone would write them on threads of this peer: the first failure cancels the others. */
async function onPeer(name: keyof typeof PEERS, threads: number): Promise<Storm> {
  const at = await opened(PEERS[name] as Peer, threads);
  return {
    order: () => failingOrder(at.pool),
    threadsLost: () => at.threadsLost(),
    [Symbol.asyncDispose]: () => at[Symbol.asyncDispose](),
  };
}

async function failingOrder(pool: Pool): Promise<void> {
  const payment = pool.run(FAILS);
  const siblings = [pool.run(SIBLING), pool.run(SIBLING)];
  if (await payment.settled) throw new Error("an order did not fail as it should have");
  for (const sibling of siblings) sibling.cancel();
  await Promise.all(siblings.map(({ settled }) => settled));
}

export const experiment = defineExperiment({
  question: "How many orders fail per second whose payment fails after 5 ms while their siblings would take 800 ms?",
  defaults: { rounds: 3, seconds: 3, orders: 64 },
  about: { orders: "at one time" },
  lab: { rounds: 2, seconds: 2 },
  variants: ({ orders, seconds }) => [
    variant(OWN, orders, seconds, (scope) => own(orders, scope), true),
    variant(SIGNAL, orders, seconds, () => onPeer("transferable-signal", availableParallelism())),
    ...threadsOfPiscina(orders).map((threads) => variant(piscinaWith(threads), orders, seconds, () => onPeer("piscina", threads))),
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
