import { JournalUnreachable } from "../../orders/order-journal.ts";
import type { Connection } from "./connection.ts";
import type { Sql, Statement } from "./sql.ts";

/** A session for statements that stand alone. It is opened when it is needed, and again after it broke. */
export class LazySql implements Sql {
  readonly #connect: () => Promise<Connection>;
  #connection: Promise<Connection> | undefined;
  #closed = false;

  constructor(connect: () => Promise<Connection>) {
    this.#connect = connect;
  }

  async rows<Row extends readonly unknown[]>(statement: Statement, values?: readonly unknown[]): Promise<Row[]> {
    const connection = await this.#open();
    return connection.rows<Row>(statement, values);
  }

  /** Goes on with another session. What is under way rejects with `ConnectionLost`. */
  reset(): void {
    this.#connection?.then(
      (connection) => connection.close(),
      () => {},
    );
    this.#connection = undefined;
  }

  close(): void {
    this.#closed = true;
    this.reset();
  }

  async #open(): Promise<Connection> {
    if (this.#closed) throw new JournalUnreachable("the journal is closed");
    this.#connection ??= this.#connect();
    const opening = this.#connection;
    const forget = () => {
      if (this.#connection === opening) this.#connection = undefined;
    };
    try {
      const connection = await opening;
      if (!connection.isLost) return connection;
    } catch (error) {
      forget();
      throw error;
    }
    forget();
    return this.#open();
  }
}
