import { isDeepStrictEqual } from "node:util";
import type { CanceledOutcome, Ended, FailedOutcome, Outcome } from "../../../src/threads/index.ts";
import { KINDS } from "./kinds.ts";
import { ACTED_LATE, AT_WORK, BEGAN, ENDED, ENDS, LEFTOVER, PASSED, THREAD } from "./notes.ts";
import type { Ran, Witness } from "./witness.ts";

/** The task has just settled: compares what is said of it with what it did. `causes`: those that its group was canceled for so far. */
export function judge(witness: Witness, ran: Ran, ended: Ended, causes: ReadonlySet<string>): void {
  const { n, plan, task } = ran;
  if (ran.ended !== undefined) witness.complain("it settled twice", ran);
  ran.ended = ended;
  ran.atClose = witness.closing;
  const { outcome, tries } = ended;
  witness.tally.add("outcomes", kindOf(ended));
  if (tries > 1) witness.tally.add("outcomes", "of a second try");
  const seen: Seen = { n, plan, tries, began: witness.notes.get(n, BEGAN), how: witness.notes.get(n, ENDED), causes };
  for (const complaint of [againstTries(seen), againstOutcome(outcome, seen), task.settled ? undefined : "it has settled, and denies it"]) {
    if (complaint !== undefined) witness.complain(complaint, ran);
  }
}

interface Seen extends Pick<Ran, "n" | "plan"> {
  readonly tries: number;
  readonly began: number;
  readonly how: number;
  readonly causes: ReadonlySet<string>;
}

function againstTries({ began, tries, plan }: Omit<Seen, "how" | "causes" | "n">): string | undefined {
  if (began > tries) return `it began ${began} times in ${tries} tries`;
  return tries > 1 && plan.options.idempotent !== true ? "it is not idempotent and was tried twice" : undefined;
}

function againstOutcome(outcome: Outcome, seen: Seen): string | undefined {
  switch (outcome.status) {
    case "ok":
      return againstValue(outcome.value, seen);
    case "failed":
      return againstFailure(outcome, seen);
    case "canceled":
      return againstCancel(outcome, seen);
    case "lost":
      return !outcome.started && seen.began > 0 ? "lost before it had begun, but it had" : undefined;
  }
}

function againstValue(value: unknown, { n, plan, began, how }: Seen): string | undefined {
  const kind = KINDS[plan.kind];
  if (kind.ends === "failed" || kind.ends === "never") return `it ends ${kind.ends}, not ok`;
  if (began === 0) return "ok, but it never began";
  if (how !== ENDS.returned && kind.endsUnnoted !== true) return "ok, but it has not returned";
  return kind.value !== undefined && !isDeepStrictEqual(value, kind.value(n)) ? "it gave another value" : undefined;
}

function againstFailure(outcome: FailedOutcome, { n, plan, began }: Seen): string | undefined {
  const kind = KINDS[plan.kind];
  if (plan.unsendable) {
    return began > 0 || outcome.error?.name !== "DataCloneError"
      ? "its input could not be sent, and that is not what became of it"
      : undefined;
  }
  if (began === 0) return "failed, but it never began";
  if (kind.ends === "ok" || kind.ends === "never") return `it ends ${kind.ends}, and failed`;
  return kind.failed?.(outcome, n) === false ? "it failed in another way than it had to" : undefined;
}

function againstCancel({ cause, started, stopped }: CanceledOutcome, { plan, began, how, causes }: Seen): string | undefined {
  const forged = KINDS[plan.kind].forgesCancel === true && how === ENDS.threw;
  if (!causes.has(cause)) return `canceled for ${cause}, and nobody did that`;
  if (!started && !stopped) return "it never began, and has not stopped";
  if (!started && began > 0) return "canceled before it began, but it had begun";
  if (started && stopped && began === 0) return "it stopped, but it never began";
  return started && stopped && how !== ENDS.stopped && !forged ? "it has stopped, but goes on" : undefined;
}

/** Everything has ended and no thread lives: what can only be said then. */
export function judgeAfterwards(witness: Witness, ran: Ran): void {
  if (witness.notes.get(ran.n, BEGAN) > 0) witness.tally.add("kinds that began", ran.plan.kind);
  for (const complaint of complaintsAfterwards(witness, ran)) if (complaint !== undefined) witness.complain(complaint, ran);
}

function complaintsAfterwards({ notes, replaced }: Witness, { n, plan, ended, atClose }: Ran): (string | undefined)[] {
  if (ended === undefined) return ["it never settled"];
  const { outcome, threadId, tries } = ended;
  const began = notes.get(n, BEGAN);
  const neverBegan = (outcome.status === "canceled" || outcome.status === "lost") && !outcome.started;
  const isLost = outcome.status === "lost" && !atClose;
  return [
    againstTries({ began, tries, plan }),
    neverBegan && began > 0 ? "it never was to begin, but it did later" : undefined,
    isLost && (threadId === undefined || !replaced.has(threadId)) ? "lost, but its thread was not replaced" : undefined,
    notes.get(n, ACTED_LATE) > 0 ? "it acted after its body had ended" : undefined,
    notes.get(n, PASSED) > 0 ? "what it left behind passed checkpoints after its end" : undefined,
  ];
}

/** What does not come to its end: tasks and leftovers on living threads, which should have heard. */
export function restless(witness: Witness): Ran[] {
  const { notes } = witness;
  return witness.ran.filter(
    (ran) => !witness.isOver(ran) || (notes.get(ran.n, LEFTOVER) === AT_WORK && !witness.replaced.has(notes.get(ran.n, THREAD))),
  );
}

export function kindOf({ outcome }: Ended): string {
  switch (outcome.status) {
    case "canceled":
      return `canceled, ${outcome.started ? (outcome.stopped ? "stopped" : "not stopped") : "not started"}`;
    case "lost":
      return "lost";
    default:
      return outcome.status;
  }
}

/** All that `kindOf` says. */
export const OUTCOME_KINDS = ["ok", "failed", "canceled, stopped", "canceled, not stopped", "canceled, not started", "lost"];
