import { MemoryTables } from "../../src/journal/memory/memory-tables.ts";
import { BatchTables } from "../../src/journal/postgres/batch/batch-tables.ts";
import { load } from "../../src/journal/postgres/batch/load.ts";
import type { Operation } from "../../src/journal/protocol.ts";
import { execute } from "../../src/journal/rules/execute.ts";
import type { DuePage } from "../../src/resilience/retry-queue.ts";
import { tablesOf } from "../../workers/journal/tables/tables.ts";
import { Writer } from "../../workers/journal/writer.ts";
import { QueriesFixture } from "../postgres/queries/queries-fixture.ts";
import { NOW, POSTGRES, type StoreKind } from "./journal-fixture.ts";
import { temporaryFile } from "./temporary-file.ts";

const LIFE = 1;
const CLEAR = "DELETE FROM compensations; DELETE FROM attempts; DELETE FROM outbox";

export type Take = Extract<Operation, readonly ["takeCompensations" | "takeEvents", ...unknown[]]>;
export type Due = DuePage<{ readonly orderId: string; readonly tries: number; readonly seq?: number }>;

/** A store with rows that are due some time, each of an order of its own. */
export interface DueStore {
  /** A compensation of a payment, or an event, with a date and a number of failed tries. */
  add(kind: "compensations" | "events", orderId: string, nextTryMs: number, tries: number): Promise<void>;
  /** What a look takes. The rows stay as they are, so that a test can look more than once. */
  take(operation: Take): Promise<Due>;
  /** Takes all rows away. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

/** One whose rows are in SQL. */
export interface SqlDueStore extends DueStore {
  exec(sql: string): Promise<unknown>;
}

export function openDueStore(kind: "file" | "postgres"): Promise<SqlDueStore>;
export function openDueStore(kind: StoreKind): Promise<DueStore>;
export function openDueStore(kind: StoreKind): Promise<DueStore> {
  return kind === "memory" ? Promise.resolve(inMemory()) : kind === "file" ? Promise.resolve(inFile()) : onPostgres();
}

function inMemory(): DueStore {
  let rows: Parameters<DueStore["add"]>[] = [];
  return {
    add: async (...row) => void rows.push(row),
    take: async (operation) => {
      const tables = new MemoryTables(true);
      for (const [index, [kind, orderId, nextTryMs, tries]] of rows.entries()) {
        if (kind === "events") {
          tables.outbox.add("order.placed", orderId, 1, 1, null, nextTryMs);
          for (let tried = 0; tried < tries; tried++) tables.outbox.failed(index + 1, nextTryMs);
          continue;
        }
        tables.attempts.open.add(orderId, 1, 1, 0);
        const id = tables.compensations.add(
          tables.attempts.add(orderId, 1, 1, 0, 0, "timeout", 0, 1, "{}"),
          "payment",
          "pending",
          nextTryMs,
        );
        for (let tried = 0; tried < tries; tried++) {
          tables.compensations.take(id);
          tables.compensations.tried(id, nextTryMs, null, NOW);
        }
      }
      return execute(tables, operation) as Due;
    },
    clear: async () => {
      rows = [];
    },
    close: async () => {},
  };
}

function inFile(): SqlDueStore {
  const writer = new Writer({ file: temporaryFile(), role: "writer", events: true });
  const { db } = writer;
  const tables = tablesOf(db, true);
  const exec = async (sql: string) => db.exec(sql);
  return {
    add: (...row) => exec(insert(...row)),
    exec,
    take: async (operation) => {
      db.exec("BEGIN");
      const page = execute(tables, operation);
      db.exec("ROLLBACK");
      return page as Due;
    },
    clear: () => exec(CLEAR),
    close: async () => writer.close(),
  };
}

async function onPostgres(): Promise<SqlDueStore> {
  const fixture = await QueriesFixture.open(POSTGRES);
  const exec = (sql: string) => fixture.client.query(sql);
  return {
    add: async (...row) => void (await exec(insert(...row))),
    exec,
    take: async (operation) => {
      const tables = new BatchTables(LIFE, true, { firstIds: [] });
      await exec("BEGIN");
      await load(fixture.sql, tables, [operation], LIFE);
      const page = execute(tables, operation);
      await exec("ROLLBACK");
      return page as Due;
    },
    clear: async () => void (await exec(CLEAR)),
    close: () => fixture[Symbol.asyncDispose](),
  };
}

function insert(kind: "compensations" | "events", orderId: string, nextTryMs: number, tries: number): string {
  if (kind === "events")
    return `INSERT INTO outbox (id, order_id, payload, created_ms, expires_ms, tries, next_try_ms)
      VALUES ('${orderId}', '${orderId}', '{}', 0, 0, ${tries}, ${nextTryMs})`;
  return `
    INSERT INTO attempts (order_id, attempt, amount, accepted_ms, ended_ms, error, interrupted, answer)
      VALUES ('${orderId}', 1, 1, 0, 0, 'timeout', 0, '{}');
    INSERT INTO compensations (attempt_id, step, state, tries, next_try_ms)
      SELECT id, 'payment', 'pending', ${tries}, ${nextTryMs} FROM attempts WHERE order_id = '${orderId}'`;
}
