/**
 * A statement of a session: prepared once under its name, which is unique. Its plan may be made while a table has three rows, and serve until the
 * server counts them again, when there are a million. To walk three rows looks cheaper than to look for one, so the text leaves no way to walk:
 * a join says `= ANY (ARRAY[v.id])`, for which an index can only be asked, instead of `= v.id`; ids of a subquery come as `ANY (ARRAY(SELECT ...))`
 * and not by `IN`; what may be missing is a scalar subquery and not `EXISTS`; and rows are sorted by `id + 0` where the order of an index would have
 * it read from its begin.
 */
export interface Statement {
  readonly name: string;
  /** Numbers come back as numbers, `bigint` columns too: all of them are safe integers. */
  readonly text: string;
}

/** Where statements run: a connection, or a pool of them. */
export interface Sql {
  /** The rows as tuples, in the order of their columns. Rejects with `JournalUnavailable` where the server cannot be reached. */
  rows<Row extends readonly unknown[]>(statement: Statement, values?: readonly unknown[]): Promise<Row[]>;
}

export const BEGIN: Statement = { name: "begin", text: "BEGIN" };
export const COMMIT: Statement = { name: "commit", text: "COMMIT" };
export const ROLLBACK: Statement = { name: "rollback", text: "ROLLBACK" };
