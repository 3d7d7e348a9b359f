import { STEPS, type StepName } from "../../src/orders/steps.ts";
import type { LedgerEntry } from "../stand-in/ledger.ts";
import { type Ending, endingOf } from "./answers.ts";
import type { KnownOrder, ReceivedEvent } from "./known-order.ts";

/** An attempt as `GET /order/{order_id}` shows it. */
export interface ShownAttempt extends Ending {
  readonly attempt: number;
  readonly status: "running" | "ok" | "error";
  readonly compensations: readonly { readonly step: string; readonly status: string }[];
}

/** What the service says of an order: all its attempts. Undefined where it knows of none. */
export interface ShownOrder {
  readonly status: string;
  readonly amount: number;
  readonly attempts: readonly ShownAttempt[];
}

/** Finds what a provider did under the key of a call. */
export type Effects = (step: StepName, key: string) => LedgerEntry | undefined;

/**
 * Judges an order after everything has ended: what the service says of it, what the providers did, the events and the answers must agree.
 * Gives each breach as a sentence. `restores`: how many there have been. Where a restore took something back, what it took back is not judged, but all that the journal knows is.
 */
export function* verdictOn(order: KnownOrder, shown: ShownOrder | undefined, effects: Effects, restores: number): Iterable<string> {
  const attempts = shown?.attempts ?? [];
  const numbers = new Set(attempts.map(({ attempt }) => attempt));
  const placed = attempts.filter(({ status }) => status === "ok");
  if (placed.length > 1) yield `${placed.length} attempts are placed`;
  if (order.placed !== undefined && placed.length === 0) yield "a client was told that it is placed, and it is not";
  if (order.placed !== undefined && shown !== undefined && order.placed.amount !== shown.amount)
    yield `a client was told that it is placed for ${order.placed.amount}, and it is for ${shown.amount}`;
  if (placed.length > 0 && order.requests === order.refused) yield "it is placed, and each request for it was refused";
  if (placed.length > 0 && shown?.status !== "ok") yield `an attempt is placed, and the order is ${shown?.status}`;
  for (const attempt of attempts) {
    yield* attempt.status === "ok" ? verdictOnPlaced(order, attempt, shown?.amount, effects) : verdictOnFailed(order, attempt, effects);
    if (attempt.status === "running") yield `attempt ${attempt.attempt} still runs`;
    yield* missingEvents(order, attempt);
  }
  for (const [attempt, restoresBefore] of order.attempts) {
    if (numbers.has(attempt)) continue;
    if (order.undoneByWord.has(attempt)) yield `attempt ${attempt} was undone after a restore, and the journal does not know it`;
    if (order.rewound && restoresBefore < restores) continue;
    for (const step of STEPS)
      if (stands(effects(step, keyOf(order, attempt, step)))) yield `${step} of attempt ${attempt} stands, which nobody knows of`;
  }
  // Answers and events of attempts that a restore took back are among those received, and nowhere else.
  if (order.rewound) return;
  const endings = new Set(attempts.map(endingOf));
  for (const told of order.told) if (!endings.has(told)) yield `a client was told of an attempt that no journal knows: ${told}`;
  for (const event of order.events) {
    const attempt = attempts.find((one) => one.attempt === event.attempt);
    const { status } = attempt ?? {};
    if (status === undefined || (status === "ok") !== (event.type === "order.placed"))
      yield `${event.type} of attempt ${event.attempt}, which is ${status}`;
    else yield* wrongContent(order, event, attempt?.error?.kind, effects);
  }
}

/** What an event says besides must be what the journal says and what the providers were asked for. */
function* wrongContent(order: KnownOrder, event: ReceivedEvent, kind: string | undefined, effects: Effects): Iterable<string> {
  const { type, attempt, amount, error } = event;
  if (error !== kind) yield `${type} of attempt ${attempt} says ${error}, and the journal says ${kind}`;
  for (const step of STEPS) {
    const called = effects(step, keyOf(order, attempt, step))?.amount;
    if (called !== undefined && called !== amount)
      yield `${type} of attempt ${attempt} is for ${amount}, and its ${step} was for ${called}`;
  }
}

function* verdictOnPlaced(order: KnownOrder, { attempt }: ShownAttempt, amount: number | undefined, effects: Effects): Iterable<string> {
  for (const step of STEPS) {
    const entry = effects(step, keyOf(order, attempt, step));
    const what = `${step} of attempt ${attempt}, which is placed,`;
    if (entry === undefined || entry.acted.length === 0) yield `${what} was never done`;
    else if (entry.compensated.length > 0) yield `${what} was undone`;
    else if (entry.tombstoneAt !== undefined) yield `${what} has a tombstone`;
    else if (entry.amount !== undefined && entry.amount !== amount) yield `${what} was done for ${entry.amount} instead of ${amount}`;
    yield* breaches(entry, what);
  }
}

function* verdictOnFailed(order: KnownOrder, { attempt, compensations }: ShownAttempt, effects: Effects): Iterable<string> {
  for (const step of STEPS) {
    const entry = effects(step, keyOf(order, attempt, step));
    const status = compensations.find((one) => one.step === step)?.status;
    const what = `${step} of attempt ${attempt}, which failed,`;
    const hand = order.hand(attempt, step);
    if (stands(entry) && hand !== "stands") yield `${what} stands`;
    if (hand === "stands" && status !== "settled" && !order.rewound) yield `${what} was settled by hand and is ${status}`;
    if (status === "settled" && hand === undefined) yield `${what} is settled, and no operator did that`;
    if (status === "done" && entry?.tombstoneAt === undefined) yield `${what} is shown as undone, and its provider was never told`;
    if (status !== undefined && status !== "done" && status !== "settled") yield `${what} is still ${status}`;
    yield* breaches(entry, what);
  }
}

/** What no provider and no service may do to any step. */
function* breaches(entry: LedgerEntry | undefined, what: string): Iterable<string> {
  if (entry === undefined) return;
  if (entry.acted.length > 1) yield `${what} was done ${entry.acted.length} times`;
  if (entry.compensated.length > 1) yield `${what} was undone ${entry.compensated.length} times`;
  if (entry.mismatches > 0) yield `${what} had its key used for something else`;
}

function* missingEvents(order: KnownOrder, { attempt, status, compensations }: ShownAttempt): Iterable<string> {
  // Nobody is told of an attempt that a restore closed and an operator settled: perhaps its order stands.
  const isSettled = compensations.length > 0 && compensations.every((one) => one.status === "settled");
  if (status === "running" || (isSettled && order.closedByRestore.has(attempt))) return;
  const has = (type: string) => order.events.some((event) => event.taken && event.type === type && event.attempt === attempt);
  const due = [status === "ok" ? "order.placed" : "order.failed", ...(compensations.length > 0 ? ["order.compensated"] : [])];
  for (const type of due) if (!has(type)) yield `${type} of attempt ${attempt} was never delivered`;
}

/** Whether a step was done and not undone. */
export function stands(entry: LedgerEntry | undefined): boolean {
  return entry !== undefined && entry.acted.length > entry.compensated.length;
}

function keyOf({ id }: KnownOrder, attempt: number, step: StepName): string {
  return `${id}:${attempt}:${step}`;
}
