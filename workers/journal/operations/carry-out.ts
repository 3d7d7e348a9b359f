import type { Operation, OperationName, Result } from "../protocol.ts";
import type { Tables } from "../tables/tables.ts";
import { accept } from "./accept.ts";
import { closeInterrupted } from "./close-interrupted.ts";
import { find } from "./find.ts";
import { finish } from "./finish.ts";
import { undoTried } from "./undo-tried.ts";

const READS: ReadonlySet<OperationName> = new Set(["find", "pendingUndos", "undelivered"]);

/** Whether an operation leaves the journal as it is. */
export function isRead([name]: Operation): boolean {
  return READS.has(name);
}

/** Carries out one operation. A write must be inside a transaction. Throws what the database throws, and on misuse. */
export function carryOut(tables: Tables, operation: Operation): Result {
  switch (operation[0]) {
    case "accept":
      return accept(tables, operation);
    case "finish":
      return finish(tables, operation);
    case "undoTried":
      return undoTried(tables, operation);
    case "find":
      return find(tables, operation[1]);
    case "closeInterrupted":
      return closeInterrupted(tables, operation[1], operation[2]);
    case "pendingUndos":
      return tables.undos.pending(operation[1], operation[2]);
    case "expireKeys":
      return tables.keys.expire(operation[1], operation[2]);
    case "undelivered":
      return tables.outbox.undelivered(operation[1], operation[2]);
    case "delivered":
      for (let index = 1; index < operation.length; index++) tables.outbox.remove(operation[index] as number);
      return null;
    case "giveUp":
      tables.outbox.giveUp(operation[1], operation[2], operation[3]);
      return null;
    case "probe":
      if (operation[1]) tables.probes.fill();
      else tables.probes.clear();
      return null;
  }
}
