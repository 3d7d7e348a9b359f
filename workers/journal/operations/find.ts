import type { FoundAttempt, FoundOrder } from "../protocol.ts";
import type { EndedAttempt } from "../tables/attempts.ts";
import type { Tables } from "../tables/tables.ts";

/** Everything known of an order, null when nothing is. */
export function find(tables: Tables, orderId: string): FoundOrder | null {
  const attempts = tables.attempts.all(orderId).map((row) => endedAttempt(tables, row));
  const open = tables.open.get(orderId);
  if (open !== undefined) {
    const [attempt, amount, acceptedMs] = open;
    attempts.push({ attempt, amount, acceptedMs, undos: [] });
  }
  const latest = attempts.at(-1);
  return latest === undefined ? null : { orderId, amount: latest.amount, attempts };
}

function endedAttempt(tables: Tables, [id, attempt, amount, acceptedMs, atMs, error, interrupted, json]: EndedAttempt): FoundAttempt {
  // A placed order has nothing to undo, and most are.
  const undos = error === null ? [] : tables.undos.of(id).map(([step, tries, doneMs]) => ({ step, tries, done: doneMs !== null }));
  return { attempt, amount, acceptedMs, ended: { atMs, json, interrupted: interrupted === 1 }, undos };
}
