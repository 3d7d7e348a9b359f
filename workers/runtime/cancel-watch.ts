import type { Layout } from "../../src/threads/layout.ts";
import type { StepContext } from "./step-context.ts";

/**
 * This thread's ear on the doorbell: one `waitAsync` for the whole thread (a waiter that is never woken
 * cannot be withdrawn, so one a step would pile up).
 *
 * A step registers first and looks at its word afterwards. A cancel before the registration is seen by that
 * look, a later one by the log: there is no moment in which it could be missed.
 */
export class CancelWatch {
  readonly #layout: Layout;
  readonly #row: number;
  // By slot: the context that came last, with the others of its run hanging on it.
  readonly #contexts = new Map<number, StepContext>();
  #seen: number;

  constructor(layout: Layout, row: number) {
    this.#layout = layout;
    this.#row = row;
    this.#seen = layout.head();
    layout.acknowledge(row, this.#seen);
  }

  add(context: StepContext): void {
    context.older = this.#contexts.get(context.slot);
    this.#contexts.set(context.slot, context);
    context.stopIfCanceled();
  }

  /** Once for each `add`. */
  remove(context: StepContext): void {
    const newest = this.#contexts.get(context.slot);
    if (newest === context) {
      if (context.older === undefined) this.#contexts.delete(context.slot);
      else this.#contexts.set(context.slot, context.older);
      return;
    }
    let newer = newest;
    while (newer !== undefined && newer.older !== context) newer = newer.older;
    if (newer !== undefined) newer.older = context.older;
  }

  /** Listens for as long as the thread lives. `waitAsync` alone does not keep it alive; the port to Piscina does. */
  async listen(): Promise<never> {
    for (;;) {
      await this.#layout.headMoved(this.#seen);
      this.#seen = this.#layout.readLog(this.#seen, this.look, this.#lookAtAll);
      this.#acknowledgeOnceStopped(this.#seen);
    }
  }

  /**
   * Steps stop in the microtasks that follow, and their outcomes go out in this turn's check phase. Only after that may
   * the main thread conclude that a step which has not ended ignores its cancel.
   */
  #acknowledgeOnceStopped(head: number): void {
    setImmediate(() => setImmediate(() => this.#layout.acknowledge(this.#row, head)));
  }

  /** Has the steps on this thread whose run has this slot stop if it is canceled. */
  readonly look = (slot: number): void => {
    for (let context = this.#contexts.get(slot); context !== undefined; context = context.older) context.stopIfCanceled();
  };

  readonly #lookAtAll = (): void => {
    for (const slot of this.#contexts.keys()) this.look(slot);
  };
}
