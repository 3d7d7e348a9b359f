import type { FoundAttempt, FoundOrder } from "../protocol.ts";
import { attemptsUpTo } from "./restores.ts";
import type { EndedAttempt, Tables } from "./tables.ts";

/** An order with its newest attempts, those before the attempt `before` where that is given; null when nothing is known of it. */
export function find(tables: Tables, orderId: string, before: number | null, limit: number): FoundOrder | null {
  const found = tables.open.get(orderId);
  // One that has ended stays open until its answer is stored.
  const open = found === undefined || tables.attempts.one(orderId, found[0]) !== undefined ? undefined : found;
  const running = open === undefined ? undefined : { attempt: open[0], amount: open[1], acceptedMs: open[2], compensations: [] };
  const latestEnded = running === undefined ? tables.attempts.latest(orderId) : undefined;
  const latest = running ?? (latestEnded === undefined ? undefined : endedAttempt(tables, latestEnded));
  if (latest === undefined) return null;
  const end = before ?? latest.attempt + 1;
  const showsRunning = running !== undefined && running.attempt < end;
  const ended = tables.attempts.before(orderId, end, showsRunning ? limit - 1 : limit).reverse();
  const attempts: FoundAttempt[] = ended.map((row) => endedAttempt(tables, row));
  if (showsRunning) attempts.push(running);
  // Between two restores numbers are given without a gap, so the last one counts them, those that were deleted since included.
  const attemptsTotal = attemptsUpTo(tables.restores.firstIds, Math.max(latest.attempt, tables.retired.lastAttempt(orderId)));
  return { orderId, attemptsTotal, latest, attempts };
}

function endedAttempt(tables: Tables, [id, attempt, amount, acceptedMs, atMs, error, interrupted, , json]: EndedAttempt): FoundAttempt {
  // A placed order has nothing to compensate, and most are.
  const compensations = error === null ? [] : tables.compensations.of(id);
  return { attempt, amount, acceptedMs, ended: { atMs, json, interrupted: interrupted !== 0 }, compensations };
}
