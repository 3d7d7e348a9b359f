/**
 * The schema, as the migrations that led to it. Migration N takes a database from number N-1 to N (`PRAGMA user_version`).
 * One that has been released is never edited; a change is a new one.
 *
 * Orders that end are appended: their rows and their compensations go to the end of their tables, and what is
 * written at random places is one small index entry. What still runs is in a table of its own, so that looking
 * for it at start does not depend on how many orders have finished.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE open_attempts (
    order_id TEXT PRIMARY KEY,
    attempt INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    accepted_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- answered: whether somebody received the answer, or was waiting for it when it was stored.
  CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    order_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    accepted_ms INTEGER NOT NULL,
    ended_ms INTEGER NOT NULL,
    error TEXT,
    interrupted INTEGER NOT NULL,
    answer TEXT NOT NULL,
    answered INTEGER NOT NULL DEFAULT 1
  ) STRICT;
  CREATE UNIQUE INDEX attempts_by_order ON attempts (order_id, attempt);
  CREATE INDEX attempts_failed ON attempts (ended_ms) WHERE error IS NOT NULL;

  -- A block range index: of each block of 1024 ids of attempts, the range of their ends. An index of every end cost each order a tenth of
  -- the journal's time. The first block is there before its first attempt.
  CREATE TABLE attempt_blocks (
    first_id INTEGER PRIMARY KEY,
    min_ended_ms INTEGER NOT NULL,
    max_ended_ms INTEGER NOT NULL
  ) STRICT;
  INSERT INTO attempt_blocks VALUES (0, 0, 0);

  -- A queue in itself: next_try_ms says when one that is pending is due.
  CREATE TABLE compensations (
    -- An id is never given again: an operator may settle by one that a list has shown days ago.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    attempt_id INTEGER NOT NULL REFERENCES attempts (id),
    step TEXT NOT NULL,
    tries INTEGER NOT NULL,
    next_try_ms INTEGER,
    last_answer TEXT,
    ended_ms INTEGER,
    note TEXT,
    state TEXT NOT NULL DEFAULT 'pending'
  ) STRICT;
  CREATE UNIQUE INDEX compensations_by_attempt ON compensations (attempt_id, step);
  -- Its expression is that of dueRows. The row that was tried least is the next to probe with.
  CREATE INDEX compensations_due ON compensations (step, min(tries, 16), next_try_ms) WHERE state = 'pending';
  CREATE INDEX compensations_open ON compensations (state, step, id) WHERE ended_ms IS NULL;
  CREATE INDEX compensations_held ON compensations (attempt_id, id) WHERE state = 'held';
  CREATE INDEX compensations_settled ON compensations (id) WHERE note IS NOT NULL;

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

  -- Of each order only the first event has a next_try_ms, so that the events of an order go one after another.
  CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    payload TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    next_try_ms INTEGER
  ) STRICT;
  CREATE INDEX outbox_by_order ON outbox (order_id, seq);
  CREATE INDEX outbox_due ON outbox (min(tries, 16), next_try_ms) WHERE next_try_ms IS NOT NULL;

  CREATE TABLE dead_letters (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    payload TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    given_up_ms INTEGER NOT NULL,
    reason TEXT NOT NULL
  ) STRICT;
  -- Without their payloads they are quick to count.
  CREATE INDEX dead_letters_by_end ON dead_letters (given_up_ms);

  -- Of an order whose last failed attempt was deleted: its number, because providers may still know the keys of its calls.
  CREATE TABLE retired_orders (
    order_id TEXT PRIMARY KEY,
    attempt INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- Each time that this journal was made of a backup. Since then neither ids of rows nor numbers of attempts are below first_id.
  CREATE TABLE restores (
    id INTEGER PRIMARY KEY,
    restored_ms INTEGER NOT NULL,
    first_id INTEGER NOT NULL
  ) STRICT;

  -- What operators did, and who. Without an order: about the whole journal.
  CREATE TABLE operator_actions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    order_id TEXT,
    detail TEXT
  ) STRICT;
  CREATE INDEX operator_actions_by_order ON operator_actions (order_id, id) WHERE order_id IS NOT NULL;
  CREATE INDEX operator_actions_without_order ON operator_actions (at_ms) WHERE order_id IS NULL;

  CREATE TABLE probes (
    id INTEGER PRIMARY KEY,
    filler BLOB NOT NULL
  ) STRICT;
  `,
];
