import { STEPS, type StepName } from "../../src/orders/steps.ts";
import type { LedgerEntry, LedgerSnapshot } from "./ledger.ts";

/** How one attempt at an order ended, as its client or the order service says. */
export interface AttemptEnding {
  readonly orderId: string;
  readonly attempt: number;
  readonly ok: boolean;
  readonly amount?: number;
}

export interface Imbalance {
  readonly orderId: string;
  readonly attempt: number;
  readonly reason: string;
}

/**
 * The one rule above all: an attempt that ended ok has exactly one charge, one acceptance and one assignment and no
 * compensate; any other attempt, listed in `endings` or not, has left nothing behind. Returns every breach of it. Everything
 * must have ended: neither orders nor compensations may be under way, and the ledger's `pending` must be 0.
 */
export function balance(ledger: LedgerSnapshot, endings: Iterable<AttemptEnding>): Imbalance[] {
  const imbalances: Imbalance[] = [];
  const placed = new Map<string, AttemptEnding>();
  for (const ending of endings) {
    if (!ending.ok) continue;
    const before = placed.get(ending.orderId);
    if (before !== undefined && before.attempt !== ending.attempt) {
      imbalances.push({ ...idOf(ending), reason: `placed twice, attempt ${before.attempt} was placed too` });
    }
    placed.set(ending.orderId, ending);
  }
  for (const reason of ledger.malformed) imbalances.push({ orderId: "", attempt: 0, reason: `malformed request: ${reason}` });
  if (ledger.pending > 0) imbalances.push({ orderId: "", attempt: 0, reason: `${ledger.pending} things are yet to be done` });

  const found = new Map<string, Set<StepName>>();
  for (const entry of ledger.entries) {
    const attempt = attemptOf(entry.key);
    const ending = placed.get(entry.orderId);
    const isPlaced = ending?.attempt === attempt;
    const say = (reason: string) => imbalances.push({ orderId: entry.orderId, attempt, reason: `${entry.step}: ${reason}` });
    for (const reason of breaches(entry)) say(reason);
    for (const reason of isPlaced ? breachesOfPlaced(entry, ending) : breachesOfFailed(entry)) say(reason);
    const id = `${attempt} ${entry.orderId}`;
    const steps = found.get(id) ?? new Set();
    if (steps.has(entry.step)) say("two keys for one call");
    found.set(id, steps.add(entry.step));
  }
  for (const ending of placed.values()) {
    const steps = found.get(`${ending.attempt} ${ending.orderId}`);
    for (const step of STEPS) if (steps?.has(step) !== true) imbalances.push({ ...idOf(ending), reason: `${step}: never done` });
  }
  return imbalances;
}

/** What no provider and no order service may ever do. */
function* breaches({ acted, compensated, tombstoneAt, mismatches }: LedgerEntry): Iterable<string> {
  if (acted.length > 1) yield `done ${acted.length} times`;
  if (compensated.length > 1) yield `compensated ${compensated.length} times`;
  if (tombstoneAt !== undefined && acted.some((at) => at > tombstoneAt)) yield "done after it had been compensated";
  if (mismatches > 0) yield `its key was used for something else ${mismatches} times`;
}

function* breachesOfPlaced({ acted, compensated, tombstoneAt, amount }: LedgerEntry, ending: AttemptEnding): Iterable<string> {
  if (acted.length === 0) yield "never done";
  if (compensated.length > 0) yield "compensated, though the order is placed";
  else if (tombstoneAt !== undefined) yield "a compensation came, though the order is placed";
  if (ending.amount !== undefined && amount !== undefined && amount !== ending.amount) yield `amount is ${amount}, not ${ending.amount}`;
}

function* breachesOfFailed({ acted, compensated }: LedgerEntry): Iterable<string> {
  if (acted.length > compensated.length) yield "done and not compensated, though the order is not placed";
  if (compensated.length > acted.length) yield "compensated though never done";
}

/** The attempt that a call's key names: `{order_id}:{attempt}:{step}`. */
function attemptOf(key: string): number {
  return Number(key.split(":").at(-2));
}

function idOf({ orderId, attempt }: AttemptEnding): { orderId: string; attempt: number } {
  return { orderId, attempt };
}
