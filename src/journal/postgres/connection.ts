import type { Duplex } from "node:stream";
import pg from "pg";
import { JournalUnreachable } from "../../orders/order-journal.ts";
import { monotonicMs } from "../../threads/index.ts";
import type { Target } from "./address.ts";
import { SCHEMA } from "./schema.ts";
import type { Sql, Statement } from "./sql.ts";

const INT8 = 20;
// All our bigints are safe integers.
const TYPES = {
  getTypeParser: (oid: number, format?: "text" | "binary") => (oid === INT8 ? Number : pg.types.getTypeParser(oid, format)),
} as pg.CustomTypesConfig;

const CONNECT_TIMEOUT_MS = 3_000;
// Of the server, from which such a warning comes. The commit is reported as done then, and may be lost with this server.
const WAIT_FOR_STANDBY = "SyncRepWaitForLSN";

export interface ConnectionOptions {
  /** How the server's own views name it. */
  readonly name: string;
  /** Without a reply for so long the connection is given up. */
  readonly timeoutMs: number;
  /** Settings of the session. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

/** The server answered with an error; `code` is its SQLSTATE. */
export class SqlError extends Error {
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}

/** What was sent last may have been executed or not. */
export class ConnectionLost extends JournalUnreachable {}

/** A session with a server. Statements go out at once, one after another, and need not wait for each other's replies. Main thread only. */
export class Connection implements Sql {
  /** The server it is with. */
  readonly target: Target;
  readonly #client: pg.Client;
  #lost: string | undefined;
  /** Statements. */
  #unanswered = 0;
  /** Of the connection and not of a statement: replies come in their order. */
  readonly #watch: NodeJS.Timeout;
  /** On the monotonic clock: when the last statement was sent that was answered. */
  heardOfMs: number;
  onLost: ((reason: string) => void) | undefined;

  private constructor(target: Target, client: pg.Client, sentMs: number, timeoutMs: number) {
    this.target = target;
    this.#client = client;
    this.heardOfMs = sentMs;
    this.#watch = setTimeout(() => {
      if (this.#unanswered > 0) this.#lose("the server does not answer");
    }, timeoutMs).unref();
    client.on("error", (error) => this.#lose(error.message));
    client.on("end", () => this.#lose("the server closed the connection"));
    client.on("notice", ({ routine }) => {
      if (routine === WAIT_FOR_STANDBY) this.#lose("somebody canceled a commit's wait for the standby");
    });
  }

  /** Rejects with `JournalUnreachable`, also for a standby; with `SqlError` where the server refused, such as for a wrong password. */
  static async open(target: Target, { name, timeoutMs, settings = {} }: ConnectionOptions): Promise<Connection> {
    const client = new pg.Client({
      ...target,
      application_name: name,
      pipeline: true,
      keepAlive: true,
      types: TYPES,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    } as pg.ClientConfig);
    const sentMs = monotonicMs();
    // Errors after the connection was made come as events, also before anybody listens.
    client.on("error", () => {});
    await client.connect().catch((error: unknown) => {
      // The server waits a minute for a password that could not be read, and each such session is one of `max_connections`.
      socketOf(client).destroy();
      throw errorOf(error);
    });
    const connection = new Connection(target, client, sentMs, timeoutMs);
    try {
      const [standby] = await connection.rows<[boolean]>({ name: "is_standby", text: "SELECT pg_is_in_recovery()" });
      if (standby?.[0] !== false) throw new JournalUnreachable("the server is a standby");
      // The role of the login may have become another one, which does not see its sessions: then nobody would count as dead, nor be let in again.
      const all = { search_path: SCHEMA, role: "none", ...settings };
      await Promise.all(
        Object.entries(all).map(([key, value]) =>
          connection.rows({ name: `set_${key}`, text: "SELECT set_config($1, $2, false)" }, [key, String(value)]),
        ),
      );
    } catch (error) {
      connection.close();
      throw error;
    }
    return connection;
  }

  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  rows<Row extends readonly unknown[]>({ name, text }: Statement, values: readonly unknown[] = []): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      if (this.#lost !== undefined) {
        reject(new ConnectionLost(this.#lost));
        return;
      }
      const sentMs = monotonicMs();
      if (this.#unanswered++ === 0) this.#watch.refresh();
      this.#client.query({ name, text, values: values as unknown[], rowMode: "array" }, (error: Error | null, result) => {
        this.#unanswered--;
        this.#watch.refresh();
        const known = error === null ? undefined : errorOf(error);
        if (known instanceof ConnectionLost) this.#lose(known.message);
        // A reply may come with what the connection was given up for.
        const lost = known === undefined && this.#lost !== undefined ? new ConnectionLost(this.#lost) : known;
        if (lost !== undefined) {
          reject(lost);
          return;
        }
        this.heardOfMs = sentMs;
        resolve(result.rows as readonly unknown[] as Row[]);
      });
    });
  }

  /** Several statements, without values. */
  async script(text: string): Promise<void> {
    await this.#client.query(text).catch((error: unknown) => {
      throw errorOf(error);
    });
  }

  /** Ends the session at once; what is under way is lost. */
  close(): void {
    this.#lose("it was closed");
  }

  #lose(reason: string): void {
    if (this.#lost !== undefined) return;
    this.#lost = reason;
    // Not by `end`, which waits for replies that may never come. A session whose socket is gone ends by itself.
    socketOf(this.#client).destroy();
    this.onLost?.(reason);
  }
}

function socketOf(client: pg.Client): Duplex {
  return (client as unknown as { connection: { stream: Duplex } }).connection.stream;
}

// Authorization, no such database, access or syntax: these end the session too, but to connect again mends none of them.
const REFUSED = /^(28|3D|42)/;

function errorOf(error: unknown): Error {
  const { code, message, severity } = error as { code?: string; message: string; severity?: string };
  if (severity === undefined) return new ConnectionLost(message === "" ? (code ?? "the connection failed") : message);
  // The server shuts down, or an administrator or a timeout of its own has ended the session.
  const isEnded = severity === "FATAL" || severity === "PANIC";
  return isEnded && !REFUSED.test(code ?? "") ? new ConnectionLost(message) : new SqlError(message, code ?? "");
}
