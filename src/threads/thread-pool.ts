import type { CancelBoard } from "./cancel-board.ts";
import type { DispatchedStep } from "./dispatched-step.ts";
import { PiscinaThreads, type PoolOptions } from "./piscina-threads.ts";
import type { PoolThread, ReplaceReason } from "./pool-thread.ts";
import type { OutcomeEntry, StepMessage } from "./protocol.ts";
import type { Slots } from "./slots.ts";
import type { Tracker } from "./tracker.ts";

export interface ThreadPoolOptions extends PoolOptions {
  readonly board: CancelBoard;
  readonly slots: Slots;
  readonly tracker: Tracker;
}

// Enough for a retryable step to survive an accident, too few for a step that kills its thread to kill many.
const MAX_RETRIES = 2;

/**
 * Gives steps to the threads of one pool; those of one event-loop turn go as one message a thread. `shared` puts any number of waiting
 * steps on a thread, `exclusive` one computing step at a time. Main thread only.
 *
 * A step that has no thread yet waits here, where a cancel finds it. A task in Piscina's queue can be taken back only by an `AbortSignal`,
 * and a task with a signal may not share a thread.
 */
export class ThreadPool {
  readonly threads: PiscinaThreads;
  readonly #options: ThreadPoolOptions;
  #waiting: DispatchedStep[] = [];
  #flushScheduled = false;

  constructor(options: ThreadPoolOptions) {
    this.#options = options;
    this.threads = new PiscinaThreads(options, this);
  }

  /** Puts a step into the next message to a thread. Its outcome comes through `step.settle`. */
  enqueue(step: DispatchedStep): void {
    this.threads.start();
    this.#waiting.push(step);
    this.lookAtWaiting();
  }

  /** To be called when a thread takes steps again, or when steps that wait here were canceled. */
  lookAtWaiting(): void {
    if (this.#flushScheduled || this.#waiting.length === 0) return;
    this.#flushScheduled = true;
    setImmediate(() => this.#flush());
  }

  /**
   * For a canceled step that ignores its cancel on a thread that is well otherwise. The thread is killed if the step is its last. Otherwise
   * the step is settled, and the thread gets no more steps and ends when its other steps have ended. The step's permits are free from
   * then on, though the step may still be at work.
   */
  giveUp(step: DispatchedStep): void {
    const { thread, owner } = step;
    const cause = this.#options.board.causeOf(owner.slot, owner.generation);
    if (thread?.row === undefined || thread.terminated || cause === undefined) return;
    // The last step of a thread settles at the thread's exit: only then it has surely ended.
    if (thread.inFlight === 1 || !this.threads.quarantine(thread)) {
      thread.kill("grace");
      return;
    }
    this.#options.tracker.giveUp(thread.row);
    step.settle({ status: "canceled", cause, effect: "unknown" });
  }

  /** Ends all threads. Steps that have not settled are lost. */
  async close(): Promise<void> {
    await this.threads.close();
    this.#flush();
  }

  #flush(): void {
    this.#flushScheduled = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    const messages = new Map<PoolThread, StepMessage[]>();
    for (const step of waiting) {
      const { slot, generation } = step.owner;
      const cause = this.#options.board.causeOf(slot, generation);
      if (cause !== undefined) {
        step.settle({ status: "canceled", cause, effect: "none" });
        continue;
      }
      const thread = this.#leastBusy();
      if (thread === undefined) {
        if (this.threads.closing) step.settle({ status: "canceled", cause: "shutdown", effect: "none" });
        else this.#waiting.push(step);
        continue;
      }
      step.moveTo(thread);
      const steps = messages.get(thread);
      if (steps === undefined) messages.set(thread, [step.message()]);
      else steps.push(step.message());
    }
    for (const [thread, steps] of messages) thread.send(steps);
  }

  #leastBusy(): PoolThread | undefined {
    let best: PoolThread | undefined;
    for (const thread of this.threads.all()) {
      if (!thread.takesSteps) continue;
      if (this.#options.name === "exclusive" && thread.inFlight > 0) continue;
      if (best === undefined || thread.inFlight < best.inFlight) best = thread;
    }
    return best;
  }

  /** To be called with what a thread has posted. */
  outcomes({ row }: PoolThread, entries: readonly OutcomeEntry[]): void {
    for (const [id, slot, startedAtMs, endedAtMs, outcome] of entries) {
      const step = this.#options.slots.step(slot, id);
      if (step !== undefined) step.settle(outcome ?? { status: "ok" }, endedAtMs, startedAtMs);
      // A step that was given up has ended after all.
      else if (row !== undefined) this.#options.tracker.endedLate(row);
    }
  }

  /** To be called when a thread is gone and all its outcomes have been reported. */
  exited(thread: PoolThread, reason: ReplaceReason): void {
    // It may have claimed a row and died before its message said so.
    const row = thread.row ?? this.#options.tracker.rowOf(thread.id);
    if (row !== undefined) this.#options.tracker.settle(row);
    for (const step of this.#options.slots.unsettled()) if (step.thread === thread) this.#lost(step, reason);
  }

  #lost(step: DispatchedStep, reason: ReplaceReason): void {
    const { slot, generation, cause } = step.owner;
    if (cause !== undefined) {
      step.settle({ status: "canceled", cause, effect: "unknown" });
      return;
    }
    const isCanceled = this.#options.board.causeOf(slot, generation) !== undefined;
    if (!isCanceled && step.spec.retryable && step.retries < MAX_RETRIES && !this.threads.closing) {
      step.moveTo(undefined);
      step.retries++;
      this.#waiting.push(step);
      this.lookAtWaiting();
      return;
    }
    // A cancel that this thread does not know of comes from a step that failed, whose thread may have died before it notified the others.
    if (isCanceled) this.#options.board.notify(slot);
    step.settle({ status: "lost", reason: `thread ended: ${reason}`, effect: "unknown" });
  }
}
