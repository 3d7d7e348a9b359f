import type { Connection } from "./connection.ts";
import { LOCK_CLASS, MIGRATIONS } from "./schema.ts";
import { BEGIN, COMMIT } from "./sql.ts";

/** What other nodes and operators see of a node. */
export interface NodeIdentity {
  readonly name: string;
  /** Of the service. */
  readonly version: string;
  readonly leaseMs: number;
}

/** From a start, or from the end that others put to the life before. */
export interface Life {
  readonly number: number;
  /** The number of the batch that it has written last. */
  readonly lastBatch: number;
  /** The server's process that serves it. */
  readonly pid: number;
  /** On the monotonic clock: when the last statement was sent that was answered. */
  readonly heardMs: number;
}

/** Begins a life: its row is seen only once its lock is held. */
export async function beginLife(connection: Connection, { name, version, leaseMs }: NodeIdentity): Promise<Life> {
  const [, [row]] = await Promise.all([
    connection.rows(BEGIN),
    connection.rows<[number, number]>(
      {
        name: "begin_life",
        text: `WITH born AS (
                 INSERT INTO nodes (name, version, schema_version, lease_ms, started_ms) VALUES ($1, $2, $3, $4, $5) RETURNING life)
               SELECT life, pg_backend_pid(), pg_advisory_lock($6, life::integer) FROM born`,
      },
      [name, version, MIGRATIONS.length, leaseMs, Date.now(), LOCK_CLASS],
    ),
    connection.rows(COMMIT),
  ]);
  const [number, pid] = row as [number, number];
  return { number, lastBatch: 0, pid, heardMs: connection.heardOfMs };
}

/** Takes the lock of a life again, or begins a new one where others have ended that. */
export async function resumeLife(connection: Connection, life: Life, node: NodeIdentity): Promise<Life> {
  // The server may not know yet that the session before is gone. What that one waits for, such as a standby, must not keep the lock.
  await connection.rows(
    { name: "end_session", text: "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND application_name = $2" },
    [life.pid, node.name],
  );
  await connection.rows({ name: "lock_life", text: "SELECT pg_advisory_lock($1, $2)" }, [LOCK_CLASS, life.number]);
  // A commit that is answered: whatever was committed before has reached the standbys too, if it must.
  const [row] = await connection.rows<[number, number]>(
    {
      name: "resume_life",
      text: "UPDATE nodes SET sessions = sessions + 1 WHERE life = $1 AND ended_ms IS NULL RETURNING last_batch, pg_backend_pid()",
    },
    [life.number],
  );
  if (row !== undefined) return { number: life.number, lastBatch: row[0], pid: row[1], heardMs: connection.heardOfMs };
  await connection.rows({ name: "unlock_life", text: "SELECT pg_advisory_unlock($1, $2)" }, [LOCK_CLASS, life.number]);
  return beginLife(connection, node);
}
