import { setTimeout as pause, setImmediate as turn } from "node:timers/promises";
import {
  Canceled,
  CancelScope,
  Failure,
  type JoinResult,
  Refused,
  TaskError,
  type ThreadGroup,
  ThreadLost,
  type Threads,
} from "../../../src/threads/index.ts";
import type { TaskTable } from "../../../src/threads/worker/index.ts";
import type { GroupPlan, SignalReason, TaskPlan } from "./group-plan.ts";
import { hostileProxy } from "./hostile-throws.ts";
import { judge } from "./judge.ts";
import type { Ran, Witness } from "./witness.ts";

export type FuzzThreads = Threads<TaskTable, Cause>;
export type Cause = "superseded" | "other";
export const CAUSES: readonly Cause[] = ["superseded", "other"];

/** One group from its opening to its end. Returns when it has ended; throws where it does not within `boundMs` after its last cancel. */
export class GroupRun {
  readonly #threads: FuzzThreads;
  readonly #plan: GroupPlan;
  readonly #witness: Witness;
  readonly #name: string;
  readonly #ran: Ran[] = [];
  /** For what it may be canceled, so far. A failure on a thread comes before anybody here knows of it. */
  readonly #causes = new Set<string>(["sibling_failed"]);
  #firstCancels = 0;

  constructor(threads: FuzzThreads, plan: GroupPlan, witness: Witness, name: string) {
    this.#threads = threads;
    this.#plan = plan;
    this.#witness = witness;
    this.#name = name;
  }

  async run(boundMs: number): Promise<void> {
    const { timeoutMs, priority, parent, signal: signalPlan, lastMs } = this.#plan;
    if (timeoutMs !== undefined) this.#causes.add("deadline");
    const controller = signalPlan === undefined ? undefined : new AbortController();
    const abort = () => {
      this.#causes.add(signalPlan?.reason === "cause" ? "superseded" : "aborted");
      controller?.abort(reasonOf(signalPlan?.reason ?? "nothing"));
    };
    if (signalPlan?.afterMs === "before") abort();
    else if (signalPlan !== undefined) setTimeout(abort, signalPlan.afterMs);
    const outer = parent === "group" ? this.#threads.group() : undefined;
    const scope = parent === "scope" ? new CancelScope<never>() : undefined;
    let group: ThreadGroup<TaskTable, Cause>;
    try {
      group = this.#threads.group({ signal: controller?.signal, timeoutMs, priority, parent: (outer ?? scope) as never });
    } catch (error) {
      await outer?.join();
      throw error;
    }
    const cancel = (n: number, cause: Cause | "deadline") => this.#cancel(group, n % 2 === 0 ? group : (outer ?? scope ?? group), cause);
    const at = (when: string) => this.#plan.cancels.flatMap((each, n) => (each.at === when ? [() => cancel(n, each.cause)] : []));
    for (const [n, each] of this.#plan.cancels.entries()) if (each.at === "later") setTimeout(() => cancel(n, each.cause), each.ms);
    for (const now of at("before run")) now();
    for (const [n, task] of this.#plan.tasks.entries()) {
      this.#run(group, task);
      if (this.#plan.pauseAfter !== undefined && n % this.#plan.pauseAfter === 0) await turn();
    }
    for (const now of at("same turn")) now();
    for (const soon of at("microtask")) queueMicrotask(soon);
    for (const soon of at("next turn")) setImmediate(soon);
    for (const ended of at("when one ended")) this.#ran[0]?.task.whenEnded(ended);
    const last = setTimeout(() => cancel(0, "superseded"), lastMs);
    const byDispose = this.#plan.cancels.some(({ at: when }) => when === "by dispose");
    if (byDispose) {
      await pause(lastMs / 2);
      this.#causes.add("aborted");
      await this.#within(boundMs, group[Symbol.asyncDispose]());
    }
    const result = await this.#within(lastMs + boundMs, group.join());
    clearTimeout(last);
    await outer?.join();
    await this.#check(result, byDispose);
  }

  #run(group: ThreadGroup<TaskTable, Cause>, plan: TaskPlan): void {
    const n = this.#witness.next();
    if (n === undefined) return;
    const input = { n, ms: plan.ms, ...(plan.unsendable && { unsendable: () => {} }) };
    try {
      const task = group.run(plan.kind, input, plan.options);
      const ran: Ran = { n, group: this.#name, plan, task, ended: undefined, atClose: false };
      this.#witness.ran.push(ran);
      this.#ran.push(ran);
      task.whenEnded((ended) =>
        judge(this.#witness, ran, ended, this.#witness.closing ? new Set([...this.#causes, "closed"]) : this.#causes),
      );
      if (n % 5 === 0) void this.#awaited(ran);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#witness.tally.add("refused", "tasks");
    }
  }

  #cancel(
    group: ThreadGroup<TaskTable, Cause>,
    on: ThreadGroup<never, Cause> | ThreadGroup<TaskTable, Cause> | CancelScope<never>,
    cause: Cause | "deadline",
  ): void {
    if (on instanceof CancelScope) {
      // A cause of its own, which no thread knows: there it is an abort.
      this.#causes.add("unheard of").add("aborted");
      on.cancel("unheard of" as never);
      return;
    }
    this.#causes.add(cause);
    if (on.cancel(cause) && (on as unknown) === group && ++this.#firstCancels > 1)
      this.#witness.complain(`${this.#name}: two cancels were the first`);
  }

  /** What `await task` gives agrees with the outcome. */
  async #awaited(ran: Ran): Promise<void> {
    const seen = await ran.task.then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    const outcome = await ran.task.outcome;
    const agrees =
      "value" in seen
        ? outcome.status === "ok" && seen.value === outcome.value
        : (outcome.status === "failed" && (outcome.error === undefined ? Failure.is(seen.error) : seen.error instanceof TaskError)) ||
          (outcome.status === "canceled" && Canceled.is(seen.error) && seen.error.causedBy === outcome.cause) ||
          (outcome.status === "lost" && seen.error instanceof ThreadLost);
    if (!agrees) this.#witness.complain("await gave something else than its outcome", ran);
  }

  async #within<T>(boundMs: number, promise: Promise<T>): Promise<T> {
    const timeout = new AbortController();
    const late = pause(boundMs, "late" as const, { signal: timeout.signal }).catch(() => "never" as never);
    const first = await Promise.race([promise, late]);
    timeout.abort();
    if (first !== "late") return first as T;
    const open = this.#ran.filter(({ ended }) => ended === undefined);
    this.#witness.complain(`${this.#name} has not ended ${boundMs} ms after its cancel; ${open.length} tasks are open`, open[0]);
    this.#witness.check();
    throw new Error("unreachable");
  }

  async #check({ outcomes, firstFailure, cause }: JoinResult<Cause>, byDispose: boolean): Promise<void> {
    const complain = (what: string) =>
      this.#witness.complain(
        `${this.#name}: ${what}`,
        this.#ran.find(({ ended }) => ended === undefined),
      );
    if (outcomes.length !== this.#ran.length) return complain(`${outcomes.length} outcomes of ${this.#ran.length} tasks`);
    for (const [index, ran] of this.#ran.entries()) {
      const [own, joined] = [ran.ended?.outcome, outcomes[index]];
      if (own === undefined || joined === undefined) return complain("joined, but a task has not settled");
      if (own.status !== joined.status) return this.#witness.complain(`joined as ${joined.status}, ended as ${own.status}`, ran);
      const hasCause = own.status !== "canceled" || own.cause === cause || (cause as string) === "unheard of";
      if (!hasCause) this.#witness.complain(`its group was canceled for ${cause}`, ran);
    }
    const failure = outcomes[firstFailure ?? -1]?.status;
    if (firstFailure !== undefined && failure !== "failed" && failure !== "lost")
      complain(`the first failure is a task that is ${failure}`);
    const isWhole = !outcomes.some((outcome) => outcome.status === "canceled" && !outcome.stopped);
    // The failure of a task that was given up never arrived.
    if (cause === "sibling_failed" && firstFailure === undefined && isWhole && this.#plan.parent !== "group")
      complain("a sibling failed, and none did");
    if (firstFailure !== undefined && cause === undefined) complain("a task failed, and the group was not canceled");
    if (byDispose && this.#ran.some(({ ended }) => ended === undefined)) complain("disposed of with tasks that run");
  }
}

function reasonOf(reason: SignalReason): unknown {
  switch (reason) {
    case "nothing":
      return undefined;
    case "cause":
      return new Canceled("superseded");
    case "unknown cause":
      return new Canceled("unheard of");
    case "proxy":
      return hostileProxy();
    case "null":
      return null;
  }
}
