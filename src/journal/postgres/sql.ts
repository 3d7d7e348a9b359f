/** A statement of a session: prepared once under its name, which is unique. */
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
