import type { DatabaseSync } from "node:sqlite";
import type { OpenAttemptsTable } from "../../../src/journal/rules/tables.ts";
import { allOf, changeOf, rowOf } from "./rows.ts";

/** Attempts that run. */
export function openAttempts(db: DatabaseSync): OpenAttemptsTable {
  const add = changeOf(db, "INSERT INTO open_attempts (order_id, attempt, amount, accepted_ms) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING");
  return {
    get: rowOf(db, "SELECT attempt, amount, accepted_ms FROM open_attempts WHERE order_id = ?"),
    add: (...row) => add(...row) === 1,
    remove: changeOf(db, "DELETE FROM open_attempts WHERE order_id = ?"),
    some: allOf(db, "SELECT order_id, attempt, amount, accepted_ms FROM open_attempts LIMIT ?"),
  };
}
