import type { DatabaseSync, StatementSync } from "node:sqlite";
import { setImmediate as turn } from "node:timers/promises";
import { rows } from "../tables/rows.ts";

// About a millisecond's worth: what else waits to be read waits for no longer.
const ROWS_A_TURN = 20_000;

type Key = readonly (number | string)[];

/** Counts rows along an index, in slices, as a count of a million takes a tenth of a second. A row that keeps its place is counted once. */
export class RowCount {
  readonly #rowsATurn: number;
  readonly #skip: StatementSync;
  readonly #rest: StatementSync;

  /** `key`: the columns that order the rows `where` holds for, ending with the row's id; `where` may have parameters. */
  constructor(db: DatabaseSync, from: string, where: string, key: readonly string[], rowsATurn: number = ROWS_A_TURN) {
    this.#rowsATurn = rowsATurn;
    const columns = key.join(", ");
    const beyond = `FROM ${from} WHERE ${where} AND (${columns}) > (${key.map(() => "?").join(", ")})`;
    this.#skip = rows(db, `SELECT ${columns} ${beyond} ORDER BY ${columns} LIMIT 1 OFFSET ${rowsATurn - 1}`);
    this.#rest = rows(db, `SELECT count(*) ${beyond}`);
  }

  /** `first`: a key before all others. Throws what the database throws. */
  async read(parameters: Key, first: Key): Promise<number> {
    let key = first;
    for (let counted = 0; ; counted += this.#rowsATurn) {
      const last = this.#skip.get(...parameters, ...key) as unknown as Key | undefined;
      if (last === undefined) return counted + (this.#rest.get(...parameters, ...key) as unknown as [number])[0];
      key = last;
      await turn();
    }
  }
}
