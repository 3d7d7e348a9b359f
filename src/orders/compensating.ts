import { backoffMs, COMPENSATION_BACKOFF } from "../retries/backoff.ts";
import type { FirstTry } from "./order-journal.ts";
import type { StepName } from "./step.ts";

/** How one try ended. */
export interface Tried {
  readonly done: boolean;
  /** What the provider said, in a word or two; absent when it is done. */
  readonly lastAnswer?: string;
}

export interface CompensatingParts {
  /** Deadline of one call. */
  readonly timeoutMs: number;
  readonly random: () => number;
  /**
   * Tries a step once. Calls `begins` just before the call, which must not be made when that says no. Undefined when it came to no
   * call. Never rejects.
   */
  readonly firstTry: (step: StepName, begins: () => boolean) => Promise<Tried | undefined>;
  /** Writes down a try of a row that is in the journal already. */
  readonly record: (step: StepName, tried: Tried) => void;
  /** A row is in the journal that waits to be tried. */
  readonly due: (step: StepName) => void;
}

interface Task {
  readonly step: StepName;
  /** A call was begun, and unless `tried` is there it is under way. */
  calls: boolean;
  tried: Tried | undefined;
  /** It was under way when it was described to the journal: its end is told later. */
  owed: boolean;
}

// A row whose first try is under way when it is written is not due before that try has surely ended.
const LEASE_EXTRA_MS = 5_000;

/** The compensations of one failed attempt until they are rows of the journal. Main thread only. */
export class Compensating {
  /** Resolves when every step has been tried once, or will not be before it is a row. Never rejects. */
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

  /** How far it is now, as rows. From the first call on no first try begins any more: the rows say when each step is due. */
  describe(nowMs: number): FirstTry[] {
    this.#described = true;
    return this.#tasks.map((task) => this.#row(task, nowMs));
  }

  /** What was described last is stored: what has ended since is written down, and what is due is tried from there. */
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
    // A call that a stop has cut off tells nothing. It is not under way any more either, so a row that is yet to be written is due
    // at once; one that is there already is due when its lease is over.
    if (task.tried === undefined) task.calls = false;
    this.#recordOwed(task);
  }

  #recordOwed(task: Task): void {
    if (!task.owed || !this.#stored || task.tried === undefined) return;
    task.owed = false;
    this.#parts.record(task.step, task.tried);
  }
}
