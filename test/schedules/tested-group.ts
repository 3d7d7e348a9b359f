import type { CancelBoard } from "../../src/threads/cancel-board.ts";
import type { BuiltInCause } from "../../src/threads/canceled.ts";
import type { DispatchedTask, TaskRunOptions } from "../../src/threads/dispatched-task.ts";
import type { Outcome } from "../../src/threads/outcome.ts";
import type { GroupParts } from "../../src/threads/slot-group.ts";
import { ThreadGroup } from "../../src/threads/thread-group.ts";
import type { TaskBody } from "../../src/threads/worker/define-tasks.ts";
import type { Ledger } from "./ledger.ts";
import type { SharedControl } from "./shared-control.ts";
import type { Behavior } from "./task-role.ts";

/** A task, and how it ended. */
export interface TestedTask {
  /** The only one of its number in a schedule. */
  readonly number: number;
  readonly behavior: Behavior;
  readonly task: DispatchedTask;
  readonly idempotent: boolean;
  /** The thread that it is to come to, where that is certain. */
  readonly to: number | undefined;
  outcome: Outcome | undefined;
  /** It was settled though its thread went on with it. */
  wasGivenUp: boolean;
}

/** What a group of tasks is told, beside what really happened. */
export interface Truth {
  readonly ledger: Ledger;
  readonly board: CancelBoard;
  /** A bit for each task whose outcome had been posted when the timer of the grace last fired. */
  readonly answeredInTime: number;
  /** Tasks of a group that was canceled at this time are not given up before the time that this gives. */
  givesUpAtMs(canceledAtMs: number): number;
  readonly control: SharedControl;
}

/** A real group of tasks, which is joined when the last of its tasks has settled. */
export class TestedGroup {
  readonly slot: number;
  readonly generation: number;
  readonly tasks: TestedTask[] = [];
  /** Something has happened for which it may be canceled. */
  mayBeCanceled = false;
  /** Its cause on the board, once it is over. */
  closedFor: string | undefined;
  isClosed = false;
  whenClosed: (() => void) | undefined;
  readonly #group: ThreadGroup<Record<Behavior, TaskBody>>;
  readonly #truth: Truth;

  constructor(parts: GroupParts, truth: Truth) {
    const before = new Set(parts.slots.all());
    this.#group = new ThreadGroup(parts, {});
    const [own] = parts.slots.all().filter((group) => !before.has(group));
    this.slot = own?.slot as number;
    this.generation = own?.generation as number;
    this.#truth = truth;
  }

  /** Why it was canceled, as far as the main thread knows. */
  get cause(): string | undefined {
    return this.#group.scope.cause;
  }

  get causeOnBoard(): string | undefined {
    return this.#truth.board.causeOf(this.slot, this.generation);
  }

  /** The tasks that have not settled. */
  get open(): TestedTask[] {
    return this.tasks.filter(({ outcome }) => outcome === undefined);
  }

  cancel(cause: BuiltInCause): void {
    this.mayBeCanceled = true;
    this.#group.cancel(cause);
  }

  run(number: number, behavior: Behavior, to: number | undefined, options: TaskRunOptions = {}): TestedTask {
    this.mayBeCanceled ||= behavior.startsWith("fails");
    const task = this.#group.run(behavior, number, options) as unknown as DispatchedTask;
    const idempotent = options.idempotent === true;
    const tested: TestedTask = { number, behavior, task, idempotent, to, outcome: undefined, wasGivenUp: false };
    this.tasks.push(tested);
    task.whenEnded(({ outcome }: { outcome: Outcome }) => this.#settled(tested, outcome));
    return tested;
  }

  /** Also for one without tasks. */
  async close(): Promise<void> {
    await this.#group.join();
    this.whenClosed?.();
  }

  /** Its slot is about to be given back. */
  closing(): void {
    this.isClosed = true;
    this.closedFor = this.causeOnBoard;
  }

  #settled(tested: TestedTask, outcome: Outcome): void {
    const fault = this.#faultOf(tested, outcome);
    if (fault !== undefined) this.#truth.ledger.accuse(`task ${tested.number} is ${outcome.status}: ${fault}`);
    tested.outcome = outcome;
    tested.wasGivenUp = outcome.status === "canceled" && !outcome.stopped && tested.task.thread?.gone === false;
    if (outcome.status === "failed" || outcome.status === "lost") this.mayBeCanceled = true;
    if (this.open.length === 0) void this.close();
  }

  #isGivenUpEarly({ thread }: DispatchedTask): boolean {
    const { canceledAtMs } = this.#group.scope;
    if (thread === undefined || thread.gone || canceledAtMs === undefined) return false;
    return this.#truth.control.clockMs < this.#truth.givesUpAtMs(canceledAtMs);
  }

  /** What is wrong with an outcome at the moment at which it is told. */
  #faultOf({ number, task, idempotent, outcome: before }: TestedTask, outcome: Outcome): string | undefined {
    const { ledger, answeredInTime } = this.#truth;
    const hasBegun = ledger.bodies(number) > 0;
    if (before !== undefined) return `it was ${before.status} before`;
    switch (outcome.status) {
      case "ok":
      case "failed":
        return hasBegun ? undefined : "it never began";
      case "canceled":
        if (outcome.cause !== this.causeOnBoard) return `its cause is ${outcome.cause}, on the board ${this.causeOnBoard}`;
        if (!outcome.started && hasBegun) return "it has begun, which is denied";
        if (outcome.started && !ledger.took(number)) return "it is said to have begun, and has never arrived";
        if (outcome.stopped) return undefined;
        if ((answeredInTime & (1 << number)) !== 0) return "its outcome had been posted in time";
        return this.#isGivenUpEarly(task) ? "it was given up before its time" : undefined;
      case "lost":
        if ((ledger.answered & (1 << number)) !== 0) return "its outcome had been posted";
        if (!outcome.started && hasBegun) return "it has begun, which is denied";
        if (this.causeOnBoard === undefined && (idempotent || !ledger.took(number))) return "it could have been run elsewhere";
        // The failure that the group was canceled for has arrived, so this is a cancel like any other.
        if (this.cause !== undefined && this.tasks.some((each) => each.outcome?.status === "lost")) return "its group was canceled before";
        return undefined;
    }
  }
}
