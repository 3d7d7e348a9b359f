import { Periodic } from "../../periodic.ts";
import { LOCK_CLASS } from "./schema.ts";
import { TAKEOVER_POLL_MS } from "./session.ts";
import { type Sql, statement } from "./sql.ts";

// One transaction each, as at a start.
const PAGE = 500;

// A free lock proves that a node is dead, but not just after the server has come up, which one process that crashes brings about, or another one
// has taken its place: then all are free. Where a session is older than a lease, what is free was free on this same server for a lease.
const FREE = statement("free_lives")`
    SELECT life, name, sessions FROM nodes WHERE life <> $1
      AND NOT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = $2 AND objid = life AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
      AND (ended_ms IS NOT NULL OR (
        now() - (SELECT min(backend_start) FROM pg_stat_activity WHERE usename = current_user) > lease_ms * interval '1 ms'
        AND (SELECT now() - continued_at > lease_ms * interval '1 ms' AND continued_on = $3 FROM cluster)))`;

export interface TakeoverOptions {
  /** Where this node writes, in a session of its own; undefined while that cannot be reached. */
  readonly sql: () => Sql | undefined;
  readonly life: () => number;
  /** The server that it is on, as `cluster.continued_on` names it. */
  readonly server: () => string;
  /** How long after its end calls of an attempt may still be under way: its deadline and the time of a call, milliseconds. */
  readonly callsEndMs: number;
  /** Closes a page of what a dead life had open, due at a time. Returns how many attempts. */
  readonly close: (limit: number, nowMs: number, dueMs: number, life: number) => Promise<number>;
  readonly onTakenOver: (node: string, attempts: number) => void;
  readonly onFault: (error: unknown) => void;
}

/** Ends the lives of nodes that are dead, and closes what they had open. Each node looks after the others. Main thread only. */
export class Takeover {
  readonly #options: TakeoverOptions;
  readonly #polling: Periodic;
  /** Whose locks were free at the last look, and the number of their session. A node whose connection broke has the next one before the next look. */
  #free = new Map<number, number>();

  constructor(options: TakeoverOptions) {
    this.#options = options;
    // A pause follows each reply. A lock that was free for all of it was free for that long.
    this.#polling = new Periodic(TAKEOVER_POLL_MS, () => this.#poll());
    this.#polling.start();
  }

  close(): void {
    void this.#polling.stop();
  }

  async #poll(): Promise<void> {
    const { sql, life, server, onFault } = this.#options;
    const where = sql();
    if (where === undefined) return;
    try {
      const found = await where.rows<[number, string, number]>(FREE, [life(), LOCK_CLASS, server()]);
      const before = this.#free;
      this.#free = new Map(found.map(([number, , sessions]) => [number, sessions]));
      for (const [number, name, sessions] of found) if (before.get(number) === sessions) await this.#takeOver(number, name);
    } catch (error) {
      this.#free.clear();
      onFault(error);
    }
  }

  async #takeOver(life: number, name: string): Promise<void> {
    const { close, callsEndMs, onTakenOver } = this.#options;
    let attempts = 0;
    for (let count = PAGE; count === PAGE; attempts += count) {
      const nowMs = Date.now();
      count = await close(PAGE, nowMs, nowMs + callsEndMs, life);
    }
    onTakenOver(name, attempts);
  }
}
