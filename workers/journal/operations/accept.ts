import type { AcceptOperation, KeyFields, Results } from "../protocol.ts";
import type { Tables } from "../tables/tables.ts";
import { storedAnswer } from "./stored-answer.ts";

/** Takes an order in, or says what is known of its id or key already. */
export function accept(tables: Tables, [, requestId, orderId, amount, nowMs, ...key]: AcceptOperation): Results["accept"] {
  const open = tables.open.get(orderId);
  // Sent again after its thread died: this row is its own.
  if (open !== undefined && open[3] === requestId) return open[0];
  if (key.length > 0) {
    const answer = byKey(tables, key, nowMs);
    if (answer !== undefined) return answer;
  }
  if (open !== undefined) {
    const [attempt, openAmount] = open;
    if (openAmount !== amount) return { type: "conflict" };
    bind(tables, key, orderId, attempt);
    return { type: "running", orderId, attempt };
  }
  const latest = tables.attempts.latest(orderId);
  if (latest !== undefined && latest[5] === null) {
    const [, attempt, placedAmount] = latest;
    if (placedAmount !== amount) return { type: "conflict" };
    bind(tables, key, orderId, attempt);
    return { type: "replayed", answer: storedAnswer(latest) };
  }
  const attempt = latest === undefined ? 1 : latest[1] + 1;
  tables.open.add(orderId, attempt, amount, nowMs, requestId);
  bind(tables, key, orderId, attempt);
  return attempt;
}

function byKey(tables: Tables, [client = "", key = "", bodyHash]: KeyFields, nowMs: number): Results["accept"] | undefined {
  const known = tables.keys.get(client, key, nowMs);
  if (known === undefined) return undefined;
  const [knownHash, orderId, attempt] = known;
  if (knownHash !== bodyHash) return { type: "mismatch" };
  const ended = tables.attempts.one(orderId, attempt);
  return ended === undefined ? { type: "running", orderId, attempt } : { type: "replayed", answer: storedAnswer(ended) };
}

function bind(tables: Tables, key: KeyFields, orderId: string, attempt: number): void {
  if (key.length === 0) return;
  const [client, name, bodyHash, expiresMs] = key;
  tables.keys.put(client, name, bodyHash, expiresMs, orderId, attempt);
}
