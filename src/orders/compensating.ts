import { backoffMs, COMPENSATION_BACKOFF } from "../retries/backoff.ts";
import type { FirstTry } from "./order-journal.ts";
import type { StepName } from "./steps.ts";

/** How one try ended. */
export interface Tried {
  readonly done: boolean;
  /** The provider's answer in a word or two; absent when it is done. */
  readonly lastAnswer?: string;
}

export interface CompensatingParts {
  /** Deadline of one call. */
  readonly timeoutMs: number;
  readonly random: () => number;
  /**
   * Tries a step once. Calls `begins` just before the call, and makes no call if that returns false. Undefined when no call was made.
   * Never rejects.
   */
  readonly firstTry: (step: StepName, begins: () => boolean) => Promise<Tried | undefined>;
  /** Stores a try of a row that is in the journal already. */
  readonly record: (step: StepName, tried: Tried) => void;
  /** A row of the journal waits to be tried. */
  readonly due: (step: StepName) => void;
}

interface Task {
  readonly step: StepName;
  /** A call was begun. It is under way until `tried` is set. */
  calls: boolean;
  tried: Tried | undefined;
  /** The call was under way when its row was described: its end must be recorded later. */
  owed: boolean;
}

// A first try may be under way when its row is stored. The row is due only when that try has surely ended.
const LEASE_EXTRA_MS = 5_000;

/** The compensations of one failed attempt until they are rows of the journal. Main thread only. */
export class Compensating {
  /** Resolves when each step has been tried once or is left to its row in the journal. Never rejects. */
  readonly firstTries: Promise<void>;
  readonly #parts: CompensatingParts;
  readonly #tasks: readonly Task[];
  #described = false;
  #stored = false;

  constructor(steps: readonly StepName[], parts: CompensatingParts) {
    this.#parts = parts;
    this.#tasks = steps.map((step) => ({ step, calls: false, tried: undefined, owed: false }));
    this.firstTries = Promise.all(this.#tasks.map((task) => this.#firstTry(task))).then(() => {});
  }

  /** The state of each compensation, as a row. After this call no first try begins: the rows say when each step is due. */
  describe(nowMs: number): FirstTry[] {
    this.#described = true;
    return this.#tasks.map((task) => this.#row(task, nowMs));
  }

  /** The rows of the last `describe` are stored. Records tries that have ended since, and has the queue try the rows that are due. */
  stored(): void {
    this.#stored = true;
    for (const task of this.#tasks) {
      if (task.tried?.done === true && !task.owed) continue;
      this.#parts.due(task.step);
      this.#recordOwed(task);
    }
  }

  #row(task: Task, nowMs: number): FirstTry {
    const { step, tried } = task;
    const { random, timeoutMs } = this.#parts;
    task.owed = task.calls && tried === undefined;
    if (task.owed) return { step, tries: 0, nextTryMs: nowMs + timeoutMs + LEASE_EXTRA_MS };
    if (tried === undefined) return { step, tries: 0, nextTryMs: nowMs };
    const { done, lastAnswer } = tried;
    if (done) return { step, tries: 1 };
    const nextTryMs = nowMs + backoffMs(1, COMPENSATION_BACKOFF, random);
    return { step, tries: 1, nextTryMs, ...(lastAnswer !== undefined && { lastAnswer }) };
  }

  async #firstTry(task: Task): Promise<void> {
    task.tried = await this.#parts.firstTry(task.step, () => {
      task.calls = !this.#described;
      return task.calls;
    });
    // A call that a stop cut off has no result and is over. Its row is due at once where it is not stored yet, otherwise when its lease is
    // over.
    if (task.tried === undefined) task.calls = false;
    this.#recordOwed(task);
  }

  #recordOwed(task: Task): void {
    if (!task.owed || !this.#stored || task.tried === undefined) return;
    task.owed = false;
    this.#parts.record(task.step, task.tried);
  }
}
