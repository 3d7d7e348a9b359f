/**
 * The schema, as the steps that led to it. Step N takes a database from number N-1 to N (`PRAGMA user_version`). A step
 * that has been released is never edited; a change is a new step.
 *
 * Finished orders are only ever appended: their rows and their undo tasks go to the end of their tables, and what is
 * written at random places is one small index entry. What still runs is in a table of its own, so that looking
 * for it at start does not depend on how many orders have finished.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE open_attempts (
    order_id TEXT PRIMARY KEY,
    attempt INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    accepted_ms INTEGER NOT NULL,
    request_id INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    order_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    accepted_ms INTEGER NOT NULL,
    ended_ms INTEGER NOT NULL,
    error TEXT,
    interrupted INTEGER NOT NULL,
    answer TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX attempts_by_order ON attempts (order_id, attempt);

  CREATE TABLE undo_tasks (
    id INTEGER PRIMARY KEY,
    attempt_id INTEGER NOT NULL REFERENCES attempts (id),
    step TEXT NOT NULL,
    tries INTEGER NOT NULL,
    done_ms INTEGER,
    request_id INTEGER
  ) STRICT;
  CREATE UNIQUE INDEX undo_tasks_by_attempt ON undo_tasks (attempt_id, step);
  CREATE INDEX undo_tasks_pending ON undo_tasks (id) WHERE done_ms IS NULL;

  CREATE TABLE idempotency_keys (
    id INTEGER PRIMARY KEY,
    client TEXT NOT NULL,
    key TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    order_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX idempotency_keys_by_key ON idempotency_keys (key, client);
  CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_ms);

  CREATE TABLE probes (
    id INTEGER PRIMARY KEY,
    filler BLOB NOT NULL
  ) STRICT;
  `,
  `
  CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    payload TEXT NOT NULL,
    created_ms INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE dead_letters (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    payload TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    given_up_ms INTEGER NOT NULL,
    reason TEXT NOT NULL
  ) STRICT;
  `,
];
