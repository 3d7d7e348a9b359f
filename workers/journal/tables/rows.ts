import type { DatabaseSync, StatementSync } from "node:sqlite";

/** A query whose rows come as arrays: no object and no field names are made for each. */
export function rows(db: DatabaseSync, sql: string): StatementSync {
  const statement = db.prepare(sql);
  statement.setReturnArrays(true);
  return statement;
}
