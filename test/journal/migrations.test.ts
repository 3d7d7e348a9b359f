import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Journal } from "../../src/journal/journal.ts";
import type { CompensationStatus } from "../../src/orders/compensation-state.ts";
import type { StepName } from "../../src/orders/steps.ts";
import { MIGRATIONS } from "../../workers/journal/migrations.ts";
import { Writer } from "../../workers/journal/writer.ts";
import { answerTo, DAY_MS, dueAt, FAR, NOW } from "./journal-fixture.ts";
import { furtherMigration, renumber, UPGRADE, writeJournal } from "./older-schema.ts";

let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "journal-migrations-"));
  file = join(directory, "orders.db");
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

const attempt = (id: number, orderId: string, number: number, error: string | null, interrupted: 0 | 1, answered: 0 | 1) => `
  INSERT INTO attempts (id, order_id, attempt, amount, accepted_ms, ended_ms, error, interrupted, answer, answered) VALUES (${id}, '${orderId}',
    ${number}, 100, ${NOW - 10}, ${NOW}, ${error && `'${error}'`}, ${interrupted}, '${answerTo(orderId, (error ?? undefined) as "timeout").json}', ${answered});
  INSERT INTO idempotency_keys (client, key, body_hash, order_id, attempt, expires_ms) VALUES
    ('', '${orderId} ${number}', 'h', '${orderId}', ${number}, ${FAR});`;

/** Orders in every state that schema 1 has, with a row in each state of a compensation. */
const ROWS = `
  ${attempt(1, "placed", 1, "timeout", 0, 1)} ${attempt(2, "placed", 2, null, 0, 1)} ${attempt(3, "failed", 1, "no_courier", 0, 1)}
  ${attempt(4, "crashed", 1, "internal", 1, 0)} ${attempt(5, "left", 1, "canceled", 0, 0)} ${attempt(6, "restored", 1, "internal", 1, 1)}
  INSERT INTO open_attempts (order_id, attempt, amount, accepted_ms) VALUES ('open', 1, 5, ${NOW});
  INSERT INTO idempotency_keys (client, key, body_hash, order_id, attempt, expires_ms) VALUES ('c', 'open', 'h', 'open', 1, ${FAR});
  INSERT INTO compensations (id, attempt_id, step, tries, next_try_ms, last_answer, ended_ms, note, state) VALUES
    (1, 3, 'payment', 7, ${NOW + 50}, 'HTTP 503', NULL, NULL, 'pending'), (2, 3, 'vendor', 1, NULL, NULL, ${NOW + 1}, NULL, 'done'),
    (3, 3, 'courier', 3, NULL, 'HTTP 400', ${NOW + 2}, 'by hand', 'settled'), (4, 4, 'payment', 0, ${NOW}, NULL, NULL, NULL, 'pending'),
    (5, 4, 'vendor', 30, 0, NULL, NULL, NULL, 'pending'), (6, 4, 'courier', 2, NULL, NULL, NULL, NULL, 'trying'),
    (7, 6, 'payment', 4, NULL, 'HTTP 500', NULL, NULL, 'held'), (9, 5, 'payment', 0, NULL, NULL, ${NOW + 3}, '', 'settled');
  DELETE FROM compensations WHERE id = 9;
  INSERT INTO outbox (seq, id, order_id, payload, created_ms, expires_ms, tries, next_try_ms) VALUES
    (3, 'evt_3', 'failed', '{"n":3}', ${NOW}, ${NOW + DAY_MS}, 2, ${NOW}), (5, 'evt_5', 'failed', '{"n":5}', ${NOW}, ${NOW + DAY_MS}, 0, NULL);
  INSERT INTO dead_letters (seq, id, order_id, payload, created_ms, given_up_ms, reason) VALUES (2, 'evt_2', 'placed', '{"n":2}', ${NOW - 5}, ${NOW}, '503');
  INSERT INTO retired_orders (order_id, attempt) VALUES ('retired', 4);
  INSERT INTO operator_actions (id, at_ms, actor, action, order_id, detail) VALUES (1, ${NOW}, 'me', 'settle', 'failed', 'by hand');`;

test.each(["newest", "older"] as const)("a journal with schema 1, the %s, opens and works, with what it holds", async (schema) => {
  writeJournal(file, schema, ROWS);
  if (schema === "older") {
    using _further = furtherMigration(UPGRADE);
    new Writer({ file, role: "writer", events: false }).close();
  }
  if (schema === "older") renumber(file);
  const journal = await Journal.open(file, { events: true });
  const rowsOf = async (status: CompensationStatus) => (await journal.compensations(status, undefined, 10)).items;
  expect((await rowsOf("pending")).map(({ id, tries, nextTryMs, lastAnswer }) => [id, tries, nextTryMs, lastAnswer])).toEqual([
    [1, 7, NOW + 50, "HTTP 503"],
    [4, 0, NOW, undefined],
    [5, 30, 0, undefined],
  ]);
  expect((await rowsOf("trying")).map(({ id, tries }) => [id, tries])).toEqual([[6, 2]]);
  expect((await rowsOf("held")).map(({ id, lastAnswer }) => [id, lastAnswer])).toEqual([[7, "HTTP 500"]]);
  expect((await rowsOf("done")).map(({ id, endedMs }) => [id, endedMs])).toEqual([[2, NOW + 1]]);
  expect((await rowsOf("settled")).map(({ id, endedMs, note }) => [id, endedMs, note])).toEqual([[3, NOW + 2, "by hand"]]);
  expect(await journal.backlog()).toMatchObject({
    compensations: { payment: { count: 3 }, vendor: { count: 1 }, courier: { count: 1 } },
    held: 1,
    events: { count: 2 },
    deadLetters: 1,
  });
  expect(await journal.actionsOn("failed")).toEqual([{ atMs: NOW, actor: "me", action: "settle", detail: "by hand" }]);
  expect((await journal.deadLetters(undefined, 10)).items).toMatchObject([{ seq: 2, orderId: "placed", reason: "503" }]);

  const accept = (orderId: string, amount: number, key?: string, client = "") =>
    journal.accept({ orderId, amount, nowMs: NOW, ...(key !== undefined && { key: { client, key, bodyHash: "h", expiresMs: FAR } }) });
  expect(await accept("placed", 100, "placed 2")).toEqual({ type: "replayed", answer: answerTo("placed") });
  expect(await accept("placed", 100)).toEqual({ type: "replayed", answer: answerTo("placed") });
  expect(await accept("placed", 101)).toEqual({ type: "conflict" });
  expect(await accept("failed", 100, "failed 1")).toEqual({ type: "replayed", answer: answerTo("failed", "no_courier") });
  expect(await accept("open", 5, "open", "c")).toEqual({ type: "running", orderId: "open", attempt: 1 });
  expect(await accept("restored", 100)).toEqual({ type: "held" });
  expect(await accept("crashed", 100, "crashed 1")).toEqual({ type: "accepted", attempt: 2 });
  expect(await accept("left", 100, "left 1")).toEqual({ type: "accepted", attempt: 2 });
  expect(await accept("retired", 100)).toEqual({ type: "accepted", attempt: 5 });
  expect(await journal.find("placed")).toMatchObject({
    attemptsTotal: 2,
    attempts: [{ attempt: 1, acceptedMs: NOW - 10, ended: { atMs: NOW, interrupted: false } }, { attempt: 2 }],
  });
  expect((await journal.find("crashed"))?.attempts[0]).toMatchObject({ ended: { interrupted: true } });

  const take = (step: StepName, which: "first" | "again", nowMs: number) => journal.takeCompensations(step, which, dueAt(nowMs));
  expect(await take("payment", "first", NOW)).toMatchObject({ items: [{ id: 4 }] });
  expect(await take("payment", "again", NOW)).toEqual({ items: [], nextDueMs: NOW + 50 });
  expect(await take("payment", "again", NOW + 50)).toMatchObject({ items: [{ id: 1, orderId: "failed", tries: 7 }] });
  expect(await take("vendor", "again", NOW)).toMatchObject({ items: [{ id: 5, orderId: "crashed", tries: 30 }] });
  expect((await journal.takeEvents(dueAt(NOW))).items).toMatchObject([{ seq: 3, tries: 2, expiresMs: NOW + DAY_MS }]);

  // What is done and settled counts for the order.
  await journal.eventDelivered(3, NOW);
  await journal.eventDelivered(5, NOW);
  expect(await journal.compensationTried({ id: 1, step: "payment" }, NOW)).toBe("done");
  const [event] = (await journal.takeEvents(dueAt(NOW))).items;
  expect(JSON.parse(event?.payload ?? "{}")).toMatchObject({ type: "order.compensated", data: { order_id: "failed" } });
  expect(event?.seq).toBe(6);
  // Ids go on behind those that are gone.
  const compensations = [{ step: "payment", trying: false }] as const;
  const ending = { orderId: "left", attempt: 2, answer: answerTo("left", "timeout"), answered: false, compensations, nowMs: NOW };
  expect(await journal.finish(ending)).toEqual([10]);
  expect(await journal.closeInterrupted(10, NOW)).toBe(4);
  await journal.close();

  const after = new DatabaseSync(file);
  expect(after.prepare("PRAGMA user_version").get()).toEqual({ user_version: MIGRATIONS.length });
  expect(after.prepare("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
  expect(after.prepare("PRAGMA foreign_key_check").all()).toEqual([]);
  after.close();
});

test("a row that names neither its state nor whether its answer was received is pending, and was received", async () => {
  await (await Journal.open(file)).close();
  const db = new DatabaseSync(file);
  db.exec(`
    INSERT INTO attempts (id, order_id, attempt, amount, accepted_ms, ended_ms, error, interrupted, answer) VALUES (1, 'a', 1, 1, 0, 0, 'timeout', 0, '{}');
    INSERT INTO compensations (attempt_id, step, tries) VALUES (1, 'payment', 0);`);
  expect(db.prepare("SELECT answered, state FROM attempts JOIN compensations ON attempt_id = attempts.id").all()).toEqual([
    { answered: 1, state: "pending" },
  ]);
  db.close();
});

test("a further migration is made once: in a journal with schema 1 and in a new one, which have the same schema then", () => {
  const schemaOf = (path: string) => {
    const db = new DatabaseSync(path);
    const columns = `SELECT m.name AS owner, i.name, i.type, i."notnull", i.dflt_value, i.pk
      FROM sqlite_schema m, pragma_table_info(m.name) i WHERE m.type = 'table' ORDER BY 1, i.cid`;
    const schema = [db.prepare("SELECT type, name, tbl_name FROM sqlite_schema ORDER BY 1, 2").all(), db.prepare(columns).all()];
    const version = db.prepare("PRAGMA user_version").get()?.user_version;
    db.close();
    return { schema, version };
  };
  const fresh = join(directory, "fresh.db");
  writeJournal(file, "newest", ROWS);
  const before = schemaOf(file);
  using _further = furtherMigration(
    "ALTER TABLE attempts ADD COLUMN weight INTEGER; CREATE INDEX attempts_by_weight ON attempts (weight);",
  );
  // A second time the column would be there.
  for (const path of [file, file, fresh, fresh]) new Writer({ file: path, role: "writer", events: false }).close();
  expect(schemaOf(file)).toEqual(schemaOf(fresh));
  expect(schemaOf(file).schema).not.toEqual(before.schema);
  expect([before.version, schemaOf(file).version]).toEqual([MIGRATIONS.length - 1, MIGRATIONS.length]);
});

test("a migration that fails leaves nothing behind: the version before goes on with the journal", async () => {
  writeJournal(file, "newest", ROWS);
  {
    using _further = furtherMigration(
      "UPDATE attempts SET amount = 0; ALTER TABLE attempts ADD COLUMN weight INTEGER; CREATE TABLE retired_orders (x);",
    );
    expect(() => new Writer({ file, role: "writer", events: false })).toThrow("table retired_orders already exists");
  }
  const db = new DatabaseSync(file);
  expect(db.prepare("SELECT count(*) AS n FROM pragma_table_info('attempts') WHERE name = 'weight'").get()).toEqual({ n: 0 });
  expect(db.prepare("PRAGMA user_version").get()).toEqual({ user_version: MIGRATIONS.length });
  db.close();
  const journal = await Journal.open(file);
  expect(await journal.accept({ orderId: "placed", amount: 100, nowMs: NOW })).toMatchObject({ type: "replayed" });
  await journal.close();
});
