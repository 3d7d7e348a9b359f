import type { Ended, PoolName, ReplaceReason, Task } from "../../../src/threads/index.ts";
import type { TaskPlan } from "./group-plan.ts";
import { KINDS } from "./kinds.ts";
import { BEGAN, ENDED, ENDS, Notes, THREAD } from "./notes.ts";

/** Counts what was seen, by kind, over all runs. */
export class Tally {
  readonly #counts = new Map<string, Map<string, number>>();

  add(what: string, kind: string): void {
    const kinds = this.#counts.get(what) ?? new Map<string, number>();
    this.#counts.set(what, kinds.set(kind, (kinds.get(kind) ?? 0) + 1));
  }

  count(what: string, kind: string): number {
    return this.#counts.get(what)?.get(kind) ?? 0;
  }

  toString(): string {
    const line = ([what, kinds]: [string, Map<string, number>]) =>
      `${what}: ${[...kinds]
        .map(([kind, count]) => `${kind} ${count}`)
        .sort()
        .join(", ")}`;
    return [...this.#counts].map(line).sort().join("\n");
  }
}

/** What the main thread knows of one task that was run. */
export interface Ran {
  readonly n: number;
  /** Names its group. */
  readonly group: string;
  readonly plan: TaskPlan;
  readonly task: Task<unknown>;
  ended: Ended | undefined;
  /** The threads were being closed when it settled. */
  atClose: boolean;
}

/** A fault of the library's, or of the fuzzer's. */
export class FuzzFailure extends Error {}

const MOST_SHOWN = 5;

/** Everything that was seen in one run of the library, by the main thread and, in the notes, by the tasks. */
export class Witness {
  readonly notes: Notes;
  readonly tally: Tally;
  readonly ran: Ran[] = [];
  /** Which threads were replaced, and why. */
  readonly replaced = new Map<number, ReplaceReason>();
  readonly killed = new Set<number>();
  readonly complaints: string[] = [];
  /** Its threads are being closed, from now on nobody says which of them end. */
  closing = false;
  readonly #pools = new Map<number, PoolName>();

  constructor(tally: Tally, tasks: number) {
    this.tally = tally;
    this.notes = Notes.for(tasks);
  }

  /** The number of the next task; undefined when there is no room for more. */
  next(): number | undefined {
    return this.ran.length < this.notes.tasks ? this.ran.length : undefined;
  }

  complain(what: string, ran?: Ran): void {
    this.complaints.push(ran === undefined ? what : `${what}\n${this.described(ran)}`);
  }

  /** Throws the complaints, if there are any. */
  check(): void {
    if (this.complaints.length === 0) return;
    const more = this.complaints.length > MOST_SHOWN ? `\n(and ${this.complaints.length - MOST_SHOWN} complaints more)` : "";
    throw new FuzzFailure(`${this.complaints.slice(0, MOST_SHOWN).join("\n")}${more}`);
  }

  described({ n, group, plan, ended }: Ran): string {
    const { notes } = this;
    const how = Object.entries(ENDS).find(([, code]) => code === notes.get(n, ENDED))?.[0];
    const told = ended === undefined ? "has not settled" : `ended ${shown(ended)}`;
    return `${group}, task ${n}, ${JSON.stringify(plan)}: ${told}; by its own notes it began ${notes.get(n, BEGAN)} times, last on thread ${notes.get(n, THREAD)}, and ended: ${how}`;
  }

  /** For `onReplaced`. */
  onReplaced(pool: PoolName, threadId: number, reason: ReplaceReason): void {
    this.tally.add("replaced", reason);
    if (this.replaced.has(threadId)) this.complain(`thread ${threadId} was replaced twice: ${this.replaced.get(threadId)}, ${reason}`);
    this.replaced.set(threadId, reason);
    this.#pools.set(threadId, pool);
  }

  /** Whether the task's body will surely do nothing more: it has ended, or its thread has. */
  isOver({ n, plan }: Ran): boolean {
    const { notes } = this;
    return (
      notes.get(n, BEGAN) === 0 ||
      (notes.get(n, ENDED) !== ENDS.not && KINDS[plan.kind].dies !== true) ||
      this.replaced.has(notes.get(n, THREAD)) ||
      KINDS[plan.kind].endsUnnoted === true ||
      // It has ended, with what `returning` notes only after it.
      plan.kind === "thenGetterThrows"
    );
  }

  /** Every thread that was replaced died of a kill, or of what a task did on it: nobody healthy may have brought it down. */
  checkDeaths(maxGivenUp: number): void {
    const reasons = new Map<number, Set<ReplaceReason>>();
    for (const { task, threadId } of this.notes.deeds()) {
      const ran = this.ran[task];
      for (const reason of (ran && KINDS[ran.plan.kind].kills) ?? []) {
        reasons.set(threadId, (reasons.get(threadId) ?? new Set()).add(reason));
      }
    }
    const givenUp = new Map<number, number>();
    for (const { ended } of this.ran) {
      if (ended?.threadId === undefined || ended.outcome.status !== "canceled" || ended.outcome.stopped) continue;
      givenUp.set(ended.threadId, (givenUp.get(ended.threadId) ?? 0) + 1);
    }
    for (const [threadId, reason] of this.replaced) {
      if (reason === "killed" ? this.killed.has(threadId) : reasons.get(threadId)?.has(reason)) continue;
      // Many tasks that ignored their cancel; on an exclusive thread one is enough.
      const most = this.#pools.get(threadId) === "exclusive" ? 1 : maxGivenUp;
      if (reason === "grace" && (givenUp.get(threadId) ?? 0) >= most) continue;
      const had = this.ran.filter(({ ended }) => ended?.threadId === threadId).slice(-10);
      this.complain(
        `thread ${threadId} of the ${this.#pools.get(threadId)} pool was replaced (${reason}), and nothing on it was to do that; it had, among others:\n${had.map((ran) => this.described(ran)).join("\n")}`,
      );
    }
  }
}

function shown({ outcome, threadId, tries }: Ended): string {
  const text = JSON.stringify(outcome, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value));
  return `${text.length > 500 ? `${text.slice(0, 500)}...` : text}, on thread ${threadId}, tries: ${tries}`;
}
