import { parentPort } from "node:worker_threads";
import type { OutcomeEntry, ThreadMessage } from "../../src/threads/protocol.ts";
import { postSpans } from "./step-span.ts";

/**
 * Collects the outcomes of one batch. What is still here when the last step ends becomes the result of the
 * Piscina task; what ended earlier has gone out before, together with its neighbours of the same turn.
 * Each outcome travels exactly once, and the main thread must not mind which way comes first.
 */
export class BatchRun {
  static #withOutcomes: BatchRun[] = [];
  static #flushScheduled = false;

  readonly result: Promise<OutcomeEntry[]>;
  #finish!: (entries: OutcomeEntry[]) => void;
  #entries: OutcomeEntry[] = [];
  #open: number;

  constructor(steps: number) {
    this.#open = steps;
    this.result = new Promise((resolve) => (this.#finish = resolve));
    if (steps === 0) this.#finish([]);
  }

  /** The step with this id has ended; times are on the clock of `monotonicMs`. Posts nothing before the synchronous caller is through. */
  ended(...entry: OutcomeEntry): void {
    const listed = this.#entries.length > 0;
    this.#entries.push(entry);
    this.#open--;
    if (this.#open === 0) {
      postSpans();
      this.#finish(this.#takeEntries());
      return;
    }
    if (listed) return;
    BatchRun.#withOutcomes.push(this);
    if (BatchRun.#flushScheduled) return;
    BatchRun.#flushScheduled = true;
    // The check phase of this same turn: everything that a turn's timers, sockets and wake-ups ended goes as one message.
    setImmediate(BatchRun.#flush);
  }

  #takeEntries(): OutcomeEntry[] {
    const entries = this.#entries;
    this.#entries = [];
    return entries;
  }

  static #flush(): void {
    BatchRun.#flushScheduled = false;
    const entries: OutcomeEntry[] = [];
    for (const batch of BatchRun.#withOutcomes) {
      for (const entry of batch.#takeEntries()) entries.push(entry);
    }
    BatchRun.#withOutcomes = [];
    postSpans();
    if (entries.length > 0) parentPort?.postMessage({ type: "outcomes", entries } satisfies ThreadMessage);
  }
}
