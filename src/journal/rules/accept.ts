import type { ErrorKind } from "../../orders/error-kind.ts";
import type { StoredAnswer } from "../../orders/order-journal.ts";
import type { KeyFields, OperationOf, Results } from "../protocol.ts";
import { attemptAfter } from "./restores.ts";
import type { EndedAttempt, Tables } from "./tables.ts";

/** Takes an order in, or says what is known of its id or key already. */
export function accept(tables: Tables, [, orderId, amount, nowMs, ...key]: OperationOf<"accept">): Results["accept"] {
  if (key.length > 0) {
    const answer = byKey(tables, key);
    if (answer !== undefined) return answer;
  }
  const latest = tables.attempts.latest(orderId);
  if (latest !== undefined && latest[5] === null) {
    const [, attempt, placedAmount] = latest;
    if (placedAmount !== amount) return { type: "conflict" };
    bind(tables, key, orderId, attempt);
    // Somebody receives it now, though nobody may have then.
    if (latest[7] === 0) tables.attempts.answer(orderId, attempt, 1, latest[8]);
    return { type: "replayed", answer: storedAnswer(latest) };
  }
  if (latest !== undefined && tables.held.isAny(latest[0])) return { type: "held" };
  // The one that was deleted may be the later: an older one stays while something of it is not compensated.
  const last = Math.max(latest?.[1] ?? 0, tables.retired.isEmpty ? 0 : tables.retired.lastAttempt(orderId));
  const attempt = attemptAfter(tables.restores.firstIds, last);
  const isNew = tables.open.add(orderId, attempt, amount, nowMs);
  const open = isNew ? undefined : tables.open.get(orderId);
  if (open !== undefined && open[1] !== amount) return { type: "conflict" };
  bind(tables, key, orderId, open?.[0] ?? attempt);
  return open === undefined ? attempt : { type: "running", orderId, attempt: open[0] };
}

function byKey(tables: Tables, [client = "", key = "", bodyHash]: KeyFields): Results["accept"] | undefined {
  const known = tables.keys.get(client, key);
  if (known === undefined) return undefined;
  const [knownHash, orderId, attempt] = known;
  const isOpen = tables.open.get(orderId)?.[0] === attempt;
  const ended = isOpen ? undefined : tables.attempts.one(orderId, attempt);
  // Nobody received the answer of such an attempt, so it holds no key.
  if (ended?.[7] === 0) return undefined;
  if (knownHash !== bodyHash) return { type: "mismatch" };
  if (ended !== undefined) return { type: "replayed", answer: storedAnswer(ended) };
  return isOpen ? { type: "running", orderId, attempt } : undefined;
}

function bind(tables: Tables, key: KeyFields, orderId: string, attempt: number): void {
  if (key.length === 0) return;
  const [client, name, bodyHash, expiresMs] = key;
  tables.keys.put(client, name, bodyHash, expiresMs, orderId, attempt);
}

function storedAnswer([, , , , , error, , , json]: EndedAttempt): StoredAnswer {
  return error === null ? { json } : { error: error as ErrorKind, json };
}
