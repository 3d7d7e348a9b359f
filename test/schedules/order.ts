import type { CancelCause } from "../../src/orders/cancel-cause.ts";
import type { CancelScope } from "../../src/threads/index.ts";
import type { StepOutcome } from "../../src/orders/step.ts";
import type { CancelBoard } from "../../src/threads/cancel-board.ts";
import type { DispatchedGroup } from "../../src/threads/step-group.ts";
import type { Behavior } from "./step-role.ts";

/** One order of a scenario, as the task group of the service would handle it. */
export class Order {
  readonly #scope: CancelScope;
  readonly #group: DispatchedGroup;
  readonly #outcomes: StepOutcome[] = [];
  /** Something has happened for which it may be canceled. */
  #mayBeCanceled = false;
  #cause: CancelCause | undefined;
  /** The threads of the steps that have not settled. */
  readonly #open: number[] = [];
  whenClosed: (() => void) | undefined;

  #closedWith: string | undefined;
  readonly #board: CancelBoard;

  constructor(board: CancelBoard, scope: CancelScope, group: DispatchedGroup) {
    this.#board = board;
    this.#scope = scope;
    this.#group = group;
  }

  /** Steps that have not settled. */
  get open(): number {
    return this.#open.length;
  }

  isOpenOn(thread: number): boolean {
    return this.#open.includes(thread);
  }

  cancel(cause: CancelCause): void {
    this.#mayBeCanceled = true;
    this.#scope.cancel(cause);
  }

  async dispatch(behavior: Behavior, thread: number): Promise<void> {
    this.#mayBeCanceled ||= behavior === "fails";
    this.#open.push(thread);
    const spec = { name: behavior, action: "perform", computes: false, retryable: false } as const;
    const { outcome } = await this.#group.run(spec, { orderId: "o", amount: 1, attempt: 1 });
    this.#open.splice(this.#open.indexOf(thread), 1);
    this.#outcomes.push(outcome);
    if (outcome.status === "failed" || outcome.status === "lost") this.cancel("sibling_failed");
    if (this.open > 0) return;
    this.close();
  }

  close(): void {
    this.#cause = this.#onBoard();
    if (this.#scope.cause !== this.#cause) this.#closedWith = `was canceled for ${this.#scope.cause}, on the board for ${this.#cause}`;
    this.#group.close();
    this.whenClosed?.();
  }

  /** What is wrong with it when everything has come to rest; undefined where nothing is. */
  fault(isGone: (thread: number) => boolean): string | undefined {
    if (this.#closedWith !== undefined) return this.#closedWith;
    const cause = this.open > 0 ? this.#onBoard() : this.#cause;
    const unnotified = this.#open.filter((thread) => !isGone(thread));
    if (cause !== undefined && !this.#mayBeCanceled) return `was canceled for ${cause}, which another one was meant to be`;
    if (cause !== undefined && unnotified.length > 0)
      return `its step on thread ${unnotified} has not heard that it was canceled for ${cause}`;
    for (const outcome of this.#outcomes) {
      if (outcome.status === "canceled" && outcome.cause !== cause) return `a step stopped for ${outcome.cause}, the order for ${cause}`;
    }
    return undefined;
  }

  #onBoard(): CancelCause | undefined {
    return this.#board.causeOf(this.#group.slot, this.#group.generation);
  }
}
