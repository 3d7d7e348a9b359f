import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";

/** A query whose rows come as arrays: no object and no field names are made for each. */
export function rows(db: DatabaseSync, sql: string): StatementSync {
  const statement = db.prepare(sql);
  statement.setReturnArrays(true);
  return statement;
}

/** A query for all rows, as arrays. */
export function allOf<Values extends SQLInputValue[], Row>(db: DatabaseSync, sql: string): (...values: Values) => Row[] {
  const statement = rows(db, sql);
  return (...values) => statement.all(...values) as unknown as Row[];
}

/** A query for one row, as an array. */
export function rowOf<Values extends SQLInputValue[], Row>(db: DatabaseSync, sql: string): (...values: Values) => Row | undefined {
  const statement = rows(db, sql);
  return (...values) => statement.get(...values) as unknown as Row | undefined;
}

/** A query for the first column of one row. */
export function fieldOf<Value>(db: DatabaseSync, sql: string): (...values: SQLInputValue[]) => Value | undefined {
  const row = rowOf<SQLInputValue[], [Value]>(db, sql);
  return (...values) => row(...values)?.[0];
}

/** A statement that writes. Returns how many rows it changed. */
export function changeOf<Values extends SQLInputValue[]>(db: DatabaseSync, sql: string): (...values: Values) => number {
  const statement = db.prepare(sql);
  return (...values) => statement.run(...values).changes as number;
}

/** A statement that adds a row. Returns its id. */
export function insertOf<Values extends SQLInputValue[]>(db: DatabaseSync, sql: string): (...values: Values) => number {
  const statement = db.prepare(sql);
  return (...values) => statement.run(...values).lastInsertRowid as number;
}
