import { availableParallelism } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { atATime } from "../at-a-time.ts";
import { goStorm } from "../goroutines/storm.ts";
import { defineExperiment, type Figures, type Variant } from "../lab/experiment.ts";
import { opened } from "../peers/notes.ts";
import { type Job, type Kind, OWN, PEERS, type Peer, type Pool } from "../peers/pools.ts";
import { atMost } from "../target.ts";

/** What threads of the peers do. It is JavaScript. */
interface Work {
  hearing(signal: AbortSignal): unknown;
  noteIn(notes: SharedArrayBuffer): void;
  work(job: Job, how: unknown): Promise<unknown>;
}

const FAILS_AFTER_MS = 5;
const SIBLING_MS = 200;
/** The first step fails after 5 ms; what the other two would do for 200 ms. */
const SIBLINGS: Readonly<Record<string, readonly Kind[]>> = {
  "siblings wait": ["wait", "wait"],
  "a sibling computes": ["wait", "compute"],
};

/** What one does without threads: steps are promises, and whoever computes holds all others. */
const MAIN_LOOP: Peer = {
  title: "the main thread alone",
  sharing: "all",
  async open(_threads, notes) {
    const { hearing, noteIn, work }: Work = await import(String(new URL("../peers/threads/work.mjs", import.meta.url)));
    noteIn(notes);
    return {
      run(job) {
        const abort = new AbortController();
        // As a task of a pool, it begins after whoever asked for it goes on.
        const ended = new Promise((begin) => setImmediate(begin)).then(() => work(job, hearing(abort.signal)));
        const settled = ended.then(
          () => true,
          () => false,
        );
        return { settled, cancel: () => abort.abort() };
      },
      async [Symbol.asyncDispose]() {},
    } satisfies Pool;
  },
};
const WAYS: readonly Peer[] = [MAIN_LOOP, ...["worker-a-task", "piscina", OWN].map((name) => PEERS[name] as Peer)];
const THREADS = "threads that end per order";
const title = (way: Peer, siblings: string) => `${siblings}: ${way.title}`;

/** How long this thread leaves a timer of a millisecond waiting. */
class Stalls {
  #lastMs = performance.now();
  #longestMs = 0;
  readonly #timer = setInterval(() => this.#look(), 1);

  #look(): void {
    const nowMs = performance.now();
    this.#longestMs = Math.max(this.#longestMs, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
  }

  async end(): Promise<number> {
    await pause(1);
    clearInterval(this.#timer);
    this.#look();
    return this.#longestMs;
  }
}

/** Three steps; the first failure cancels the rest, and the order ends when all three have. */
async function order(pool: Pool, siblings: readonly Kind[]): Promise<void> {
  const rest = siblings.map((kind) => pool.run({ kind, ms: SIBLING_MS, cell: 0 }, { alone: kind === "compute" }));
  await pool.run({ kind: "wait", ms: FAILS_AFTER_MS, cell: 0 }).settled;
  for (const step of rest) step.cancel();
  await Promise.all(rest.map(({ settled }) => settled));
}

function variant(way: Peer, siblings: string, orders: number, seconds: number): Variant {
  return {
    name: title(way, siblings),
    open: async () => async () => {
      await using at = await opened(way, way.sharing === "all" ? availableParallelism() : 2 * orders);
      const endedBefore = await at.threadsLost();
      const stalls = new Stalls();
      const before = process.cpuUsage();
      const { done, perSecond } = await atATime(orders, seconds, () => order(at.pool, SIBLINGS[siblings] as readonly Kind[]));
      const { user, system } = process.cpuUsage(before);
      const longestMs = await stalls.end();
      const ended = (await at.threadsLost()) - endedBefore;
      const figures: Figures = {
        "orders/s": [perSecond, "orders/s"],
        "CPU per order": [(user + system) / done, "us"],
        "longest stall of the main thread": [longestMs, "ms"],
        [THREADS]: [ended / done, ""],
      };
      return { figures };
    },
  };
}

export const experiment = defineExperiment({
  question: "What does the first failure of an order cost on the main thread, with a Worker per step, with Piscina, with this library?",
  defaults: { rounds: 3, seconds: 2, orders: 16 },
  about: { orders: "at one time" },
  lab: { seconds: 1 },
  variants: ({ orders, seconds }) => [
    ...Object.keys(SIBLINGS).flatMap((siblings) => WAYS.map((way) => variant(way, siblings, orders, seconds))),
    ...goStorm(seconds),
  ],
  targets: (seen) =>
    Object.keys(SIBLINGS).map((siblings) =>
      atMost(`threads that end in this library, ${siblings}`, seen.most(title(PEERS[OWN] as Peer, siblings), THREADS), 0),
    ),
});
