import type { Operation, Result } from "../protocol.ts";
import { accept } from "./accept.ts";
import { closeInterrupted } from "./close-interrupted.ts";
import { compensationTried, confirmRestore, settleCompensation, takeCompensation } from "./compensate.ts";
import { answer, finish } from "./finish.ts";

import { retire } from "./retire.ts";
import type { Tables } from "./tables.ts";

/** Executes one write, inside a transaction. Throws what the database throws, and on misuse. */
export function execute(tables: Tables, operation: Operation): Result {
  switch (operation[0]) {
    case "accept":
      return accept(tables, operation);
    case "finish":
      return finish(tables, operation);
    case "answer":
      return answer(tables, operation);
    case "compensationTried":
      return compensationTried(tables, [operation[1], operation[2], operation[3]], operation[4]);
    case "takeCompensations":
      return tables.compensations.takeDue(operation[1], operation[2], operation[3], operation[4], operation[5]);
    case "takeCompensation":
      return takeCompensation(tables, operation[1], operation[2], operation[3]);
    case "takeEvents":
      return tables.outbox.due(operation[1], operation[2], operation[3], operation[4]);
    case "closeInterrupted":
      return closeInterrupted(tables, operation[1], operation[2], operation[3] ?? operation[2]);
    case "settleCompensation":
      return settleCompensation(tables, operation[1], operation[2], operation[3], operation[4]);
    case "eventDelivered":
      tables.outbox.remove(operation[1], operation[2]);
      return null;
    case "eventFailed":
      tables.outbox.failed(operation[1], operation[2]);
      return null;
    case "giveUpEvent":
      tables.outbox.giveUp(operation[1], operation[2], operation[3]);
      return null;
    case "giveUpExpired":
      return tables.outbox.giveUpExpired(operation[1], operation[2], operation[3], operation[4]);
    case "redeliver":
      return redeliver(tables, operation[1], operation[2], operation[3]);
    case "confirmRestore":
      return confirmRestore(tables, operation[1], operation[2], operation[3], operation[4]);
    case "noteAction":
      tables.actions.add(operation[1], operation[2], operation[3], null, operation[4]);
      return null;
    case "expireKeys":
      return tables.keys.expire(operation[1], operation[2]);
    case "retire":
      return retire(tables, operation[1], operation[2], operation[3]);
    case "expireDeadLetters":
      return tables.outbox.expireDeadLetters(operation[1], operation[2]);
    case "expireActions":
      return tables.actions.expire(operation[1], operation[2]);
  }
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
