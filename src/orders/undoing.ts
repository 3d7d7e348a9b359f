import { CancelScope } from "../concurrency/cancel-scope.ts";
import { Capacity } from "../concurrency/capacity.ts";
import { type Growth, growingPauseMs } from "../concurrency/growing-pause.ts";
import { JournalUnavailable, type OrderJournal, type UndoState } from "./order-journal.ts";
import type { StepInput, StepName } from "./step.ts";
import type { StepRunner } from "./step-runner.ts";
import { newTraceparent } from "./traceparent.ts";

/** How many undo calls may be under way at one time; the thread runtime needs room for as many runs. */
export const UNDO_CAPACITY = 500;

// An undo has a deadline of its own: the order's has often passed already. Longer than an order's, since a provider
// that is slow to refund is still better than one that is asked again.
const UNDO_TIMEOUT_MS = 5_000;
const PAUSE: Growth = { baseMs: 200, capMs: 60_000 };
const PAGE = 500;

export interface UndoingOptions {
  readonly runner: StepRunner;
  readonly journal: Pick<OrderJournal, "undoTried" | "pendingUndos">;
  /** A try that has ended. */
  readonly onTried?: (step: StepName, done: boolean) => void;
  /** Progress has been stored, perhaps with an event. */
  readonly onStored?: () => void;
  /** Something that will be tried again, for the log. */
  readonly onFault?: (message: string, error: unknown) => void;
  /** From 0 to 1, for the jitter. */
  readonly random?: () => number;
}

interface Task {
  readonly input: StepInput;
  readonly step: StepName;
  tries: number;
  done: boolean;
}

/**
 * Takes back what failed orders did (the compensations of a saga), outside their cancel scopes: a cancel that stopped
 * the order must not stop its refund. Each task is tried until it is done, with growing jittered pauses; it is a row in
 * the journal, so it goes on after a crash. Main thread only.
 */
export class Undoing {
  readonly #options: UndoingOptions;
  readonly #capacity = new Capacity(UNDO_CAPACITY);
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #stop = new CancelScope();
  readonly #active = new Set<Promise<void>>();

  constructor(options: UndoingOptions) {
    this.#options = options;
  }

  /** Undoings being tried or waiting for their next try. */
  get pending(): number {
    return this.#active.size + this.#timers.size;
  }

  /** Tries each step once, in the order given, which is the reverse of that in which they ended. */
  begin(input: StepInput, steps: readonly StepName[]): UndoRun {
    const tasks = steps.map((step) => ({ input, step, tries: 0, done: false }));
    const firstTries = this.#keep(async () => {
      for (const task of tasks) await this.#try(task);
    });
    return {
      firstTries,
      states: () => tasks.map(({ step, done, tries }) => ({ step, done, tries })),
      stored: (states) => void this.#keep(() => this.#goOn(tasks, states, firstTries)),
    };
  }

  /** At start: goes on with every task that the journal has as not done. Resolves when all of them are scheduled. */
  async resume(): Promise<void> {
    for (let afterId = 0; ; ) {
      const tasks = await this.#options.journal.pendingUndos(afterId, PAGE);
      for (const { orderId, amount, attempt, step, tries } of tasks) {
        // The order's own trace ended with the process that ran it.
        const input = { orderId, amount, attempt, traceparent: newTraceparent() };
        this.#schedule({ input, step, tries, done: false }, 0);
      }
      const last = tasks.at(-1);
      if (last === undefined) return;
      afterId = last.id;
    }
  }

  /** Stops trying; what is not done stays in the journal. Resolves when no undo runs any more. */
  async stop(): Promise<void> {
    this.#stop.cancel("shutdown");
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    while (this.#active.size > 0) await Promise.all(this.#active);
  }

  /** The rows exist now: writes down what happened since they were made and goes on with what is not done. */
  async #goOn(tasks: readonly Task[], stored: readonly UndoState[], firstTries: Promise<void>): Promise<void> {
    await firstTries;
    for (const task of tasks) {
      const before = stored.find(({ step }) => step === task.step);
      if (before?.done === true) continue;
      if (task.tries !== before?.tries) await this.#record(task);
      this.#scheduleNextTry(task);
    }
  }

  #scheduleNextTry(task: Task): void {
    if (!task.done) this.#schedule(task, growingPauseMs(task.tries, PAUSE, this.#options.random ?? Math.random));
  }

  #schedule(task: Task, pauseMs: number): void {
    if (this.#stop.cause !== undefined) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      void this.#keep(async () => {
        await this.#try(task);
        // Cut off by the stop: the row says that it is not done, and the next start goes on with it.
        if (this.#stop.cause !== undefined && !task.done) return;
        await this.#record(task);
        this.#scheduleNextTry(task);
      });
    }, pauseMs);
    this.#timers.add(timer);
  }

  async #try(task: Task): Promise<void> {
    using _permit = this.#capacity.tryAcquire() ?? (await this.#capacity.acquire());
    if (this.#stop.cause !== undefined) return;
    try {
      task.done = await this.#call(task);
    } catch (error) {
      // A bug; but a task that is dropped for it would leave a customer charged.
      this.#options.onFault?.("an undo could not be tried", error);
    }
    // Together with `done` and not before the call: a state taken while it runs must differ from the one after it.
    task.tries++;
    this.#options.onTried?.(task.step, task.done);
  }

  async #call({ step, input }: Task): Promise<boolean> {
    const scope = new CancelScope();
    const run = this.#options.runner.open(scope);
    const stopTimer = scope.cancelAfter(UNDO_TIMEOUT_MS);
    const following = scope.follow(this.#stop);
    const { outcome } = await run.run({ name: step, action: "undo", computes: false, repeatable: true }, input);
    run.close();
    stopTimer();
    following.leave();
    return outcome.status === "ok";
  }

  /**
   * A task whose end the journal cannot take now counts as not done: undoing twice is harmless, forgetting is not. One whose
   * end it will never take (its attempt was not stored, by a bug) is left to the next start.
   */
  async #record(task: Task): Promise<void> {
    const { orderId, attempt } = task.input;
    try {
      await this.#options.journal.undoTried({ orderId, attempt, step: task.step, done: task.done, nowMs: Date.now() });
      if (task.done) this.#options.onStored?.();
    } catch (error) {
      if (error instanceof JournalUnavailable) task.done = false;
      this.#options.onFault?.("an undo is not written down yet", error);
    }
  }

  #keep(work: () => Promise<void>): Promise<void> {
    const promise = work()
      .catch((error: unknown) => this.#options.onFault?.("undoing failed unexpectedly", error))
      .finally(() => this.#active.delete(promise));
    this.#active.add(promise);
    return promise;
  }
}

/** The undoing of one failed attempt. */
export interface UndoRun {
  /** Resolves when every step has been tried once. Never rejects. */
  readonly firstTries: Promise<void>;
  /** How far it is now, for the journal. */
  states(): readonly UndoState[];
  /** To be called once these states are rows in the journal; from then on it writes its own progress. */
  stored(states: readonly UndoState[]): void;
}
