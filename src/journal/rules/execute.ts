import type { Operation, OperationName, OperationOf, Result, Results } from "../protocol.ts";
import { accept } from "./accept.ts";
import { closeInterrupted } from "./close-interrupted.ts";
import { compensationTried, confirmRestore, settleCompensation, takeCompensation } from "./compensate.ts";
import { answer, finish } from "./finish.ts";
import { retire } from "./retire.ts";
import type { OutboxTable, Tables } from "./tables.ts";

const RULES: { readonly [Name in OperationName]: (tables: Tables, operation: OperationOf<Name>) => Results[Name] } = {
  accept,
  finish,
  answer,
  compensationTried: (tables, [, id, nextTryMs, lastAnswer, nowMs]) => compensationTried(tables, [id, nextTryMs, lastAnswer], nowMs),
  takeCompensations: ({ compensations }, [, step, kind, nowMs, limit, leastTried]) =>
    compensations.takeDue(step, kind, nowMs, limit, leastTried),
  takeCompensation: (tables, [, ...asked]) => takeCompensation(tables, ...asked),
  takeEvents: ({ outbox }, [, ...asked]) => outbox.due(...asked),
  closeInterrupted: (tables, [, limit, nowMs, dueMs = nowMs]) => closeInterrupted(tables, limit, nowMs, dueMs),
  settleCompensation: (tables, [, ...asked]) => settleCompensation(tables, ...asked),
  eventDelivered: ({ outbox }, [, ...asked]) => nothing(outbox.remove(...asked)),
  eventFailed: ({ outbox }, [, ...asked]) => nothing(outbox.failed(...asked)),
  giveUpEvent: ({ outbox }, [, ...asked]) => nothing(outbox.giveUp(...asked)),
  giveUpExpired: ({ outbox }, [, ...asked]) => giveUpExpired(outbox, ...asked),
  redeliver: (tables, [, ...asked]) => redeliver(tables, ...asked),
  confirmRestore: (tables, [, ...asked]) => confirmRestore(tables, ...asked),
  noteAction: ({ actions }, [, atMs, actor, action, detail]) => nothing(actions.add(atMs, actor, action, null, detail)),
  expireKeys: ({ keys }, [, ...asked]) => keys.expire(...asked),
  retire: (tables, [, ...asked]) => retire(tables, ...asked),
  expireDeadLetters: ({ outbox }, [, ...asked]) => outbox.expireDeadLetters(...asked),
  expireActions: ({ actions }, [, ...asked]) => actions.expire(...asked),
};

/** Executes one write, inside a transaction. Throws what the database throws, and on misuse. */
export function execute(tables: Tables, operation: Operation): Result {
  return (RULES[operation[0]] as (tables: Tables, operation: Operation) => Result)(tables, operation);
}

/** An operation that was executed has a result, if only this. */
function nothing(_done: unknown): null {
  return null;
}

/**
 * Gives up the oldest events whose time was over at `expiredMs`. Looks at `limit` only: they expire in the order in which they were written, but
 * for what a step of the clock mixes up. Returns how many.
 */
function giveUpExpired(outbox: OutboxTable, expiredMs: number, reason: string, nowMs: number, limit: number): number {
  const expired = outbox.oldest(limit).filter(([, expiresMs]) => expiresMs <= expiredMs);
  for (const [seq] of expired) outbox.giveUp(seq, reason, nowMs);
  return expired.length;
}

/** Puts a dead letter back, behind all events of its order. Returns whether there was one. */
export function redeliver(tables: Tables, seq: number, nowMs: number, actor: string): boolean {
  const orderId = tables.outbox.redeliver(seq, nowMs);
  if (orderId === undefined) return false;
  const isKnown = tables.attempts.latest(orderId) !== undefined || tables.open.get(orderId) !== undefined;
  const event = `event ${seq}`;
  if (isKnown) tables.actions.add(nowMs, actor, "redeliver", orderId, event);
  else tables.actions.add(nowMs, actor, "redeliver", null, `${event} of the order ${JSON.stringify(orderId)}, which is deleted`);
  return true;
}
