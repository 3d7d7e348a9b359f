/**
 * A statement, prepared once in a session under its name. Its plan may be made while a table has three rows, which are cheaper to walk than
 * to look up, and serve when there are a million. So the text leaves no way to walk: a join says `= ANY (ARRAY[v.id])`, for which an index
 * can only be asked; ids of a subquery come as `ANY (ARRAY(SELECT ...))`, not by `IN`; what may be missing is a scalar subquery, not
 * `EXISTS`; and rows are sorted by `id + 0` where the order of an index would have it read from its begin.
 */
export interface Statement {
  readonly name: string;
  /** Numbers come back as numbers, `bigint` columns too: all of them are safe integers. */
  readonly text: string;
}

/** As a tag: statement("name")`SELECT ...`. */
export function statement(name: string): (text: TemplateStringsArray, ...parts: readonly (string | number)[]) => Statement {
  return (text, ...parts) => ({ name, text: String.raw({ raw: text }, ...parts) });
}

/** Where statements run: a connection, or a pool of them. */
export interface Sql {
  /** The rows as tuples, in the order of their columns. Rejects with `JournalUnavailable` where the server cannot be reached. */
  rows<Row extends readonly unknown[]>(statement: Statement, values?: readonly unknown[]): Promise<Row[]>;
}

export const BEGIN = statement("begin")`BEGIN`;
export const COMMIT = statement("commit")`COMMIT`;
export const ROLLBACK = statement("rollback")`ROLLBACK`;

/** Settings of every session: no plan that walks or sorts a large table, though plans may be made while the tables are empty. */
export const PLAN_SETTINGS = {
  enable_seqscan: "off",
  enable_bitmapscan: "off",
  enable_hashjoin: "off",
  enable_mergejoin: "off",
  plan_cache_mode: "force_generic_plan",
} as const;

/**
 * Settings of the sessions that read. A read stops at its limit, so nothing is gained by several processes or by compiling it. One that takes long is
 * ended by the server before its client gives up the connection, with which all reads behind it would go.
 */
export const READING_SETTINGS = {
  ...PLAN_SETTINGS,
  max_parallel_workers_per_gather: 0,
  jit: "off",
  statement_timeout: 4_000,
} as const;
