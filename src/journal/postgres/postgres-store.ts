import type { OtherNodes } from "../../orders/elsewhere.ts";
import type { NodeState } from "../../orders/operator-journal.ts";
import { JournalUnavailable, JournalUnreachable } from "../../orders/order-journal.ts";
import { atMost } from "../../threads/index.ts";
import { GroupCommit } from "../group-commit.ts";
import { JournalOpenError, type JournalStore } from "../journal-store.ts";
import type { Answers, Operation, OperationName, Query, QueryName, Results } from "../protocol.ts";
import { ReadLimit } from "../read-limit.ts";
import { ADDRESS_RULE, parseAddress, targetsOf } from "./address.ts";
import { Connection, SqlError } from "./connection.ts";
import { Continuity, UnfitDatabase } from "./continuity.ts";
import { LazySql } from "./lazy-sql.ts";
import type { NodeIdentity } from "./life.ts";
import { listNodes } from "./node-list.ts";
import { PostgresQueries } from "./queries/postgres-queries.ts";
import { Session } from "./session.ts";
import { READING_SETTINGS } from "./sql.ts";
import { Takeover } from "./takeover.ts";
import { PostgresWaiting } from "./waiting.ts";
import { PostgresWriter } from "./writer.ts";

export interface PostgresOptions {
  readonly node: NodeIdentity;
  /** Read at each connection. */
  readonly password?: () => Promise<string>;
  /** How long after its end calls of an attempt may still be under way: its deadline and the time of a call, milliseconds. */
  readonly callsEndMs: number;
  /** Another node is dead: its attempts are closed and are being compensated. */
  readonly onTakenOver?: (node: string, attempts: number) => void;
  /** Others took this node for dead, and have closed the orders that it ran: so many. It goes on as a new one. */
  readonly onEnded?: (orders: number) => void;
  /** The database came from a backup, or lost what came last: what was open is held. */
  readonly onRestored?: () => void;
  readonly onFault?: (message: string, error: unknown) => void;
}

interface StoreOptions extends PostgresOptions {
  readonly events: boolean;
  readonly onCommit?: (requests: number, milliseconds: number) => void;
  readonly onHealth?: (healthy: boolean, reason: string) => void;
}

// A list that takes longer is not waited for.
const READ_TIMEOUT_MS = 5_000;
// All that a life has open at its end.
const EVERYTHING = 1_000_000;
const LEAVE_MS = 2_000;
const AWAY = "the database cannot be reached";

/** The journal on PostgreSQL, for many nodes. Main thread only: the work is the server's. */
export class PostgresStore implements JournalStore {
  readonly #options: StoreOptions;
  readonly #session: Session;
  readonly #continuity: Continuity;
  readonly #writer: PostgresWriter;
  readonly #commits: GroupCommit;
  readonly #reads: LazySql;
  /** For waits and couriers, whose statements stand alone: no operator's list is before them. */
  readonly sql: LazySql;
  readonly #queries: PostgresQueries;
  readonly #takeover: Takeover;
  readonly others: OtherNodes;
  /** Others have ended this node's life, and closed what it ran. Returns how many orders that were. */
  onLifeEnded: (() => number) | undefined;
  readonly #readLimit = new ReadLimit();
  #readFrom: string;
  #isClosing = false;
  #hurrying: NodeJS.Timeout | undefined;
  #closed: Promise<void> | undefined;

  private constructor(options: StoreOptions, continuity: Continuity, session: Session) {
    const { node, callsEndMs, events, onFault } = options;
    this.#options = options;
    this.#session = session;
    this.#continuity = continuity;
    this.#readFrom = this.#server();
    this.#writer = new PostgresWriter({ session, leaseMs: node.leaseMs, events, restores: continuity });
    this.#commits = new GroupCommit({
      send: (batch) => this.#writer.run(batch),
      onReply: (reply) => {
        if (reply.type === "refused") onFault?.("the database refused a batch", new JournalUnavailable(reply.reason));
      },
      onCommit: options.onCommit,
    });
    // Where this node writes: another that takes writes too may be an old primary.
    const connect = () => Connection.open(session.target, { name: node.name, timeoutMs: READ_TIMEOUT_MS, settings: READING_SETTINGS });
    this.#reads = new LazySql(connect);
    this.sql = new LazySql(connect);
    this.#queries = new PostgresQueries(this.#reads, continuity);
    this.others = new PostgresWaiting({ sql: this.sql, life: () => this.life, ...(onFault !== undefined && { onFault }) });
    this.#takeover = new Takeover({
      // Not on the session that writes: there a look could be part of a batch, and fail with it.
      sql: () => (session.connection === undefined ? undefined : this.sql),
      life: () => this.life,
      server: () => continuity.server,
      callsEndMs,
      close: (limit, nowMs, dueMs, life) => this.request(["closeInterrupted", limit, nowMs, dueMs, life]),
      onTakenOver: (name, attempts) => options.onTakenOver?.(name, attempts),
      onFault: (error) => {
        if (!(error instanceof JournalUnavailable)) onFault?.("dead nodes could not be looked for", error);
      },
    });
  }

  /** `journal`: a `postgres://` address. Rejects with `JournalOpenError` where it cannot be reached or used. */
  static async open(journal: string, options: StoreOptions): Promise<PostgresStore> {
    const { node, password } = options;
    const address = parseAddress(journal);
    if (address === undefined) throw new JournalOpenError(journal, ADDRESS_RULE);
    const continuity = new Continuity(node.leaseMs, () => options.onRestored?.());
    // Nothing of a session changes before it is there.
    let store: PostgresStore | undefined;
    try {
      const session = await Session.start({
        targets: () => targetsOf(address, password),
        node,
        check: (connection, life) => continuity.check(connection, life),
        onLife: (connection) => continuity.readRestores(connection),
        onChange: (connected, reason) => {
          if (connected) store?.followSession();
          options.onHealth?.(connected, reason);
        },
        onEnded: () => store?.ended(),
      });
      store = new PostgresStore(options, continuity, session);
      return store;
    } catch (error) {
      throw isForOperators(error) ? new JournalOpenError(journal, error.message) : error;
    }
  }

  /** The life of this node now. */
  get life(): number {
    return this.#session.life;
  }

  /** On the monotonic clock: until then nobody can have ended this life. */
  sureUntilMs(): number {
    return this.#session.sureUntilMs();
  }

  get healthy(): boolean {
    return this.#session.connection !== undefined;
  }

  request<Name extends OperationName>(operation: Operation & readonly [Name, ...unknown[]]): Promise<Results[Name]> {
    // What the last run left open is another life's here, and no node closes its own.
    if (operation[0] === "closeInterrupted" && operation[4] === undefined) return Promise.resolve(0 as Results[Name]);
    if (!this.healthy && !this.#isClosing) return Promise.reject(new JournalUnreachable(AWAY));
    return this.#commits.request<Name>(operation);
  }

  async read<Name extends QueryName>(query: Query & readonly [Name, ...unknown[]]): Promise<Answers[Name]> {
    if (this.#isClosing) throw new JournalUnavailable("the journal is closed");
    try {
      return await this.#readLimit.run(query[0], () => this.#queries.run<Name>(query));
    } catch (error) {
      throw error instanceof SqlError ? new JournalUnavailable(error.message) : error;
    }
  }

  /** The nodes that live. */
  nodes(): Promise<readonly NodeState[]> {
    return listNodes(this.#reads, this.life);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** The process is to end: a database that cannot be reached is not waited for long. Others close what that leaves open. */
  hurry(): void {
    this.#hurrying ??= setInterval(() => {
      if (!this.healthy) this.#session.close();
    }, LEAVE_MS).unref();
  }

  /** Others have ended the life. */
  ended(): void {
    this.#writer.forget();
    this.#options.onEnded?.(this.onLifeEnded?.() ?? 0);
  }

  /** Takes the other sessions to the server that is written to, where that has changed. */
  followSession(): void {
    const server = this.#server();
    if (server === this.#readFrom) return;
    this.#readFrom = server;
    this.#reads.reset();
    this.sql.reset();
  }

  #server(): string {
    const { host, port } = this.#session.target;
    return `${host}:${port} ${this.#continuity.server}`;
  }

  async #close(): Promise<void> {
    this.#takeover.close();
    this.#isClosing = true;
    if (this.healthy) await this.#leave();
    // Requests whose commit is in doubt would wait for the server for ever.
    this.#session.close();
    clearInterval(this.#hurrying);
    await this.#commits.close();
    this.#reads.close();
    this.sql.close();
  }

  /** Ends the own life, so that nobody has to find out. What is still open others close when they do, as where that fails. Never rejects. */
  async #leave(): Promise<void> {
    const nowMs = Date.now();
    const leaving = this.#commits.request(["closeInterrupted", EVERYTHING, nowMs, nowMs, this.life]);
    await atMost(
      leaving.catch(() => {}),
      LEAVE_MS,
    );
  }
}

/** Whether the message of an error tells an operator what to mend. */
function isForOperators(error: unknown): error is Error {
  return error instanceof JournalUnavailable || error instanceof UnfitDatabase || error instanceof SqlError;
}
