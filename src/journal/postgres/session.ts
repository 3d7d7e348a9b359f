import { monotonicMs } from "../../threads/index.ts";
import type { Target } from "./address.ts";
import { Connection } from "./connection.ts";
import { beginLife, type Life, type NodeIdentity, resumeLife } from "./life.ts";
import { PLAN_SETTINGS, statement } from "./sql.ts";

export interface SessionOptions {
  /** Asked at each connection. */
  readonly targets: () => readonly Target[];
  readonly node: NodeIdentity;
  /** Looks whether a new connection is good for this node; rejects where it is not. `life`: the one that it had. */
  readonly check: (connection: Connection, life: Life | undefined) => Promise<void>;
  /** Reads what has to be known of a life before it writes. */
  readonly onLife: (connection: Connection) => Promise<void>;
  /** The connection is there again (true) or gone, with the reason. */
  readonly onChange: (connected: boolean, reason: string) => void;
  /** Others have ended the life. A new one has begun: what the old one ran is closed. */
  readonly onEnded: () => void;
}

const BEAT = statement("beat")`SELECT 1`;
// A reset connection is back before others look twice. While the server is away, ten tries per second are no load.
const RECONNECT_MS = 100;
// Three may be lost.
const BEATS_A_LEASE = 4;
/**
 * How often a node looks for dead ones. Two free looks are a death, so couriers are in use again 2 s after a kill, their sharing included.
 */
export const TAKEOVER_POLL_MS = 750;

/**
 * The session that writes. It holds the advisory lock of this node's life; the server ends it after a lease without a word, and others see
 * that the lock is free. One that broke comes back with the same life unless others have ended that. Main thread only: it shows that this
 * lives.
 */
export class Session {
  readonly #options: SessionOptions;
  /** The server that this node is with, or was last. */
  target: Target;
  #connection: Connection | undefined;
  #life: Life;
  #lostMs = 0;
  #beat: NodeJS.Timeout | undefined;
  #closed = false;
  #back = Promise.withResolvers<void>();

  private constructor(options: SessionOptions, connection: Connection, life: Life) {
    this.#options = options;
    this.#life = life;
    this.target = connection.target;
    this.#adopt(connection);
  }

  /** Connects and begins a life. Rejects with `JournalUnreachable`, `SqlError`, or as `check` does. */
  static async start(options: SessionOptions): Promise<Session> {
    const [connection, life] = await live(options, undefined);
    return new Session(options, connection, life);
  }

  get life(): number {
    return this.#life.number;
  }

  /** Undefined while there is none. */
  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** Whether the server has surely not given this life up: whoever acts on a reply asks that first. */
  get isSure(): boolean {
    return monotonicMs() < this.sureUntilMs();
  }

  /** On the monotonic clock: until then nobody can have ended this life. */
  sureUntilMs(): number {
    const { leaseMs } = this.#options.node;
    const heardMs = this.#connection?.heardOfMs;
    return heardMs === undefined ? Math.min(this.#lostMs + TAKEOVER_POLL_MS, this.#life.heardMs + leaseMs) : heardMs + leaseMs;
  }

  /**
   * Resolves once connected, with the last batch that the life has written; undefined where that life was ended, or the session is closed.
   */
  async recovered(life: number): Promise<number | undefined> {
    while (this.#connection === undefined && !this.#closed) await this.#back.promise;
    return this.#life.number === life && !this.#closed ? this.#life.lastBatch : undefined;
  }

  /** Shows the server that this node lives, and this node that its session does. Resolves also where it does not. */
  async beat(): Promise<void> {
    await this.#connection?.rows(BEAT).catch(() => {});
  }

  /** A batch is stored, and its reply is known. */
  acknowledge(batch: number): void {
    this.#life = { ...this.#life, lastBatch: batch };
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#beat);
    this.#connection?.close();
    this.#back.resolve();
  }

  #adopt(connection: Connection): void {
    this.#connection = connection;
    this.target = connection.target;
    connection.onLost = (reason) => this.#lost(connection, reason);
    this.#beat = setInterval(() => {
      void this.beat();
    }, this.#options.node.leaseMs / BEATS_A_LEASE);
    this.#beat.unref();
    this.#back.resolve();
    // It may have been lost before anybody listened.
    if (connection.isLost) this.#lost(connection, "the connection broke");
  }

  #lost(connection: Connection, reason: string): void {
    if (this.#connection !== connection) return;
    clearInterval(this.#beat);
    this.#connection = undefined;
    this.#life = { ...this.#life, heardMs: connection.heardOfMs };
    this.#lostMs = monotonicMs();
    this.#back = Promise.withResolvers();
    if (this.#closed) return;
    this.#options.onChange(false, reason);
    void this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    let told = "";
    while (!this.#closed) {
      let connection: Connection;
      let life: Life;
      try {
        [connection, life] = await live(this.#options, this.#life);
      } catch (error) {
        const { message } = error as Error;
        // What keeps a node away may be an operator's to mend: another password, another database.
        if (message !== told && !this.#closed) this.#options.onChange(false, message);
        told = message;
        await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS).unref());
        continue;
      }
      const isAnother = life.number !== this.#life.number;
      this.#life = life;
      if (isAnother) this.#options.onEnded();
      if (this.#closed) {
        connection.close();
        return;
      }
      this.#adopt(connection);
      if (this.#connection !== undefined) this.#options.onChange(true, "the server can be reached again");
      return;
    }
  }
}

/** Connects and takes the lock of the life before again, or begins a life. Rejects where either fails. */
async function live(options: SessionOptions, before: Life | undefined): Promise<[Connection, Life]> {
  const connection = await connect(options, before);
  try {
    const life = await (before === undefined ? beginLife(connection, options.node) : resumeLife(connection, before, options.node));
    await options.onLife(connection);
    return [connection, life];
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** Connects to the first of the servers that takes writes and is good for this node. */
async function connect(options: SessionOptions, life: Life | undefined): Promise<Connection> {
  let failure: unknown;
  for (const target of options.targets()) {
    try {
      return await connectTo(target, options, life);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

async function connectTo(target: Target, { node, check }: SessionOptions, life: Life | undefined): Promise<Connection> {
  const { leaseMs, name } = node;
  const connection = await Connection.open(target, {
    name,
    timeoutMs: leaseMs,
    settings: {
      // What the server ends by itself: a session that says nothing, inside a transaction and outside, and one whose host does not acknowledge.
      idle_session_timeout: leaseMs,
      idle_in_transaction_session_timeout: leaseMs,
      tcp_user_timeout: leaseMs,
      // Not sooner than after a lease, where the system does not go by the limit above.
      tcp_keepalives_idle: Math.max(1, Math.floor(leaseMs / 4_000)),
      tcp_keepalives_interval: 1,
      tcp_keepalives_count: Math.ceil(leaseMs / 1_000),
      statement_timeout: leaseMs,
      // Below the lease: who waits for a row longer than that would lose its life over it.
      lock_timeout: Math.floor(leaseMs * 0.6),
      default_transaction_isolation: "read committed",
      ...PLAN_SETTINGS,
    },
  });
  try {
    await check(connection, life);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}
