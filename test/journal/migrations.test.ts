import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Journal } from "../../src/journal/journal.ts";
import type { CompensationStatus } from "../../src/orders/compensation-state.ts";
import type { OrderEvent } from "../../src/orders/order-event.ts";
import type { StepName } from "../../src/orders/steps.ts";
import { MIGRATIONS } from "../../workers/journal/migrations.ts";
import { answerTo, DAY_MS, dueAt, FAR, NOW } from "./journal-fixture.ts";

let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "journal-migrations-"));
  file = join(directory, "orders.db");
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A journal as the version left it whose newest migration was number `version`, with whatever orders can be in it. */
function writtenBy(version: number, more = ""): void {
  const db = new DatabaseSync(file);
  db.exec("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON");
  for (const step of MIGRATIONS.slice(0, version)) db.exec(step);
  const attempt = (id: number, orderId: string, number: number, error: string | null, interrupted = 0) => `
    INSERT INTO attempts (id, order_id, attempt, amount, accepted_ms, ended_ms, error, interrupted, answer) VALUES (${id}, '${orderId}',
      ${number}, 100, ${NOW - 10}, ${NOW}, ${error && `'${error}'`}, ${interrupted}, '${answerTo(orderId, (error ?? undefined) as "timeout").json}');`;
  db.exec(`
    PRAGMA application_id = 0x4f52444a; PRAGMA user_version = ${version};
    ${attempt(1, "placed", 1, "timeout")} ${attempt(2, "placed", 2, null)} ${attempt(3, "failed", 1, "no_courier")}
    ${attempt(4, "crashed", 1, "internal", 1)} ${attempt(5, "left", 1, "canceled")}
    INSERT INTO open_attempts (order_id, attempt, amount, accepted_ms, request_id) VALUES ('open', 1, 5, ${NOW}, 17), ('placed again', 3, 6, ${NOW}, 18);
    INSERT INTO undo_tasks (id, attempt_id, step, tries, done_ms, request_id) VALUES
      (1, 1, 'payment', 2, ${NOW + 3}, 4), (2, 3, 'vendor', 1, ${NOW + 1}, NULL), (3, 3, 'payment', 7, NULL, 9),
      (4, 4, 'courier', 0, NULL, NULL), (5, 4, 'vendor', 0, NULL, NULL), (6, 4, 'payment', 1, ${NOW + 2}, 11);
    INSERT INTO idempotency_keys (client, key, body_hash, order_id, attempt, expires_ms) VALUES
      ('', 'placed', 'h', 'placed', 2, ${NOW + 9}), ('c', 'failed', 'h', 'failed', 1, ${NOW + 9}), ('', 'open', 'h', 'open', 1, ${NOW + 9}),
      ('', 'crashed', 'h', 'crashed', 1, ${NOW + 9}), ('', 'left', 'h', 'left', 1, ${NOW + 9});
    ${more}
  `);
  db.close();
}

const OUTBOX = `
  INSERT INTO outbox (seq, id, order_id, payload, created_ms) VALUES
    (3, 'evt_3', 'placed', '{"n":3}', ${NOW}), (5, 'evt_5', 'failed', '{"n":5}', ${NOW + 1}), (6, 'evt_6', 'placed', '{"n":6}', ${NOW + 2}),
    (8, 'evt_8', 'placed', '{"n":8}', ${NOW + 3}), (9, 'evt_9', 'failed', '{"n":9}', ${NOW + 4}), (11, 'evt_11', 'crashed', '{"n":11}', ${NOW + 5});
  INSERT INTO dead_letters (seq, id, order_id, payload, created_ms, given_up_ms, reason) VALUES (2, 'evt_2', 'placed', '{"n":2}', ${NOW - 5}, ${NOW}, '503');`;

const CASES: readonly [number, string][] = [
  [1, ""],
  [2, OUTBOX],
];

test.each(CASES)("a journal with schema %i opens and works, with what it holds", async (version, more) => {
  writtenBy(version, more);
  const journal = await Journal.open(file, { events: true });
  const key = (name: string, client = "") => ({ client, key: name, bodyHash: "h", expiresMs: NOW + 9 });
  const accept = (orderId: string, amount: number, name?: string, client?: string) =>
    journal.accept({ orderId, amount, nowMs: NOW, ...(name !== undefined && { key: key(name, client) }) });

  expect(await accept("placed", 100, "placed")).toEqual({ type: "replayed", answer: answerTo("placed") });
  expect(await accept("placed", 100)).toEqual({ type: "replayed", answer: answerTo("placed") });
  expect(await accept("placed", 101)).toEqual({ type: "conflict" });
  expect(await accept("failed", 100, "failed", "c")).toEqual({ type: "replayed", answer: answerTo("failed", "no_courier") });
  expect(await accept("open", 5, "open")).toEqual({ type: "running", orderId: "open", attempt: 1 });
  expect(await accept("crashed", 100, "crashed")).toEqual({ type: "accepted", attempt: 2 });
  expect(await accept("left", 100, "left")).toEqual({ type: "accepted", attempt: 2 });
  expect(await journal.find("placed")).toMatchObject({
    attemptsTotal: 2,
    attempts: [{ attempt: 1, acceptedMs: NOW - 10, ended: { atMs: NOW, interrupted: false } }, { attempt: 2 }],
  });
  expect((await journal.find("failed"))?.latest.compensations).toEqual([
    { step: "vendor", tries: 1, status: "done" },
    { step: "payment", tries: 7, status: "pending" },
  ]);
  expect((await journal.find("crashed"))?.attempts[0]).toMatchObject({
    ended: { interrupted: true },
    compensations: [{ status: "pending" }, { status: "pending" }, { step: "payment", tries: 1, status: "done" }],
  });

  // What was pending is due at once; what was done stays done.
  const due = async (step: StepName, which: "first" | "again" = "first") =>
    (await journal.takeCompensations(step, which, dueAt(NOW))).items;
  expect(await due("payment", "again")).toEqual([{ id: 3, orderId: "failed", attempt: 1, amount: 100, step: "payment", tries: 7 }]);
  expect(await due("vendor")).toMatchObject([{ id: 5, orderId: "crashed", tries: 0 }]);
  expect(await due("courier")).toMatchObject([{ id: 4, orderId: "crashed", tries: 0 }]);
  expect(await journal.compensation(2)).toMatchObject({ status: "done", endedMs: NOW + 1 });
  expect((await journal.compensations("done", undefined, 10)).items.map(({ id, endedMs }) => [id, endedMs])).toEqual([
    [1, NOW + 3],
    [2, NOW + 1],
    [6, NOW + 2],
  ]);

  // Of each order the oldest event is due, and the rest one after another.
  const delivered: OrderEvent[] = [];
  for (;;) {
    const { items } = await journal.takeEvents(dueAt(NOW));
    if (items.length === 0) break;
    for (const event of items) {
      expect(event).toMatchObject({ tries: 0, expiresMs: event.createdMs + DAY_MS, id: `evt_${event.seq}` });
      await journal.eventDelivered(event.seq, NOW);
    }
    delivered.push(...items);
  }
  const ofOrder = (orderId: string) => delivered.filter((event) => event.orderId === orderId).map(({ seq }) => seq);
  expect([ofOrder("placed"), ofOrder("failed"), ofOrder("crashed")]).toEqual(version === 1 ? [[], [], []] : [[3, 6, 8], [5, 9], [11]]);
  expect((await journal.deadLetters(undefined, 10)).items).toHaveLength(version === 1 ? 0 : 1);

  // It goes on from there.
  expect(await journal.closeInterrupted(10, NOW)).toBe(4);
  expect(await due("payment", "again")).toMatchObject([{ id: 3 }]);
  expect(await journal.compensationTried({ id: 3, step: "payment" }, NOW)).toBe("done");
  const events = (await journal.takeEvents(dueAt(NOW))).items;
  expect(events.map(({ payload }) => JSON.parse(payload).type).sort()).toEqual(["order.compensated", ...Array(4).fill("order.failed")]);
  if (version === 2) for (const { seq } of events) expect(seq).toBeGreaterThan(11);
  await journal.close();

  const after = new DatabaseSync(file);
  expect(after.prepare("PRAGMA user_version").get()).toEqual({ user_version: MIGRATIONS.length });
  expect(after.prepare("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
  expect(after.prepare("PRAGMA foreign_key_check").all()).toEqual([]);
  after.close();
  // A second start has nothing to do.
  await (await Journal.open(file)).close();
});

/** A journal of the version before the states of compensations, with a row in each state that there was. */
function writtenByFour(): void {
  const db = new DatabaseSync(file);
  db.exec("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON");
  for (const step of MIGRATIONS.slice(0, 4)) db.exec(step);
  const attempt = (id: number, orderId: string, error: string | null, interrupted = 0) => `
    INSERT INTO attempts (id, order_id, attempt, amount, accepted_ms, ended_ms, error, interrupted, answer) VALUES (${id}, '${orderId}',
      1, 100, ${NOW - 10}, ${NOW}, ${error && `'${error}'`}, ${interrupted}, '${answerTo(orderId, (error ?? undefined) as "timeout").json}');
    INSERT INTO idempotency_keys (client, key, body_hash, order_id, attempt, expires_ms) VALUES ('', '${orderId}', 'h', '${orderId}', 1, ${FAR});`;
  db.exec(`
    PRAGMA application_id = 0x4f52444a; PRAGMA user_version = 4;
    ${attempt(1, "placed", null)} ${attempt(2, "failed", "no_courier")} ${attempt(3, "crashed", "internal", 1)} ${attempt(4, "left", "canceled")}
    INSERT INTO open_attempts (order_id, attempt, amount, accepted_ms) VALUES ('open', 1, 5, ${NOW});
    INSERT INTO compensations (id, attempt_id, step, tries, next_try_ms, last_answer, ended_ms, note) VALUES
      (1, 2, 'payment', 7, ${NOW + 50}, 'HTTP 503', NULL, NULL), (2, 2, 'vendor', 1, NULL, NULL, ${NOW + 1}, NULL),
      (3, 2, 'courier', 3, NULL, 'HTTP 400', ${NOW + 2}, 'by hand'), (4, 3, 'payment', 0, ${NOW}, NULL, NULL, NULL),
      (5, 3, 'vendor', 30, 0, NULL, NULL, NULL), (9, 4, 'payment', 0, NULL, NULL, ${NOW + 3}, '');
    DELETE FROM compensations WHERE id = 9;
    INSERT INTO outbox (seq, id, order_id, payload, created_ms, expires_ms, tries, next_try_ms) VALUES
      (3, 'evt_3', 'failed', '{"n":3}', ${NOW}, ${NOW + DAY_MS}, 2, ${NOW}), (5, 'evt_5', 'failed', '{"n":5}', ${NOW}, ${NOW + DAY_MS}, 0, NULL);`);
  db.close();
}

test("a journal with schema 4 opens with the state of each compensation, and who received which answer", async () => {
  writtenByFour();
  const journal = await Journal.open(file, { events: true });
  const rowsOf = async (status: CompensationStatus) => (await journal.compensations(status, undefined, 10)).items;
  expect((await rowsOf("pending")).map(({ id, tries, nextTryMs, lastAnswer }) => [id, tries, nextTryMs, lastAnswer])).toEqual([
    [1, 7, NOW + 50, "HTTP 503"],
    [4, 0, NOW, undefined],
    [5, 30, 0, undefined],
  ]);
  expect((await rowsOf("done")).map(({ id, endedMs }) => [id, endedMs])).toEqual([[2, NOW + 1]]);
  expect((await rowsOf("settled")).map(({ id, endedMs, note }) => [id, endedMs, note])).toEqual([[3, NOW + 2, "by hand"]]);
  for (const status of ["trying", "held"] as const) expect(await rowsOf(status)).toEqual([]);
  expect(await journal.backlog()).toMatchObject({ compensations: { payment: { count: 2 }, vendor: { count: 1 }, courier: { count: 0 } } });

  const accept = (orderId: string) =>
    journal.accept({ orderId, amount: 100, nowMs: NOW, key: { client: "", key: orderId, bodyHash: "h", expiresMs: FAR } });
  expect(await accept("placed")).toEqual({ type: "replayed", answer: answerTo("placed") });
  expect(await accept("failed")).toEqual({ type: "replayed", answer: answerTo("failed", "no_courier") });
  expect(await accept("crashed")).toEqual({ type: "accepted", attempt: 2 });
  expect(await accept("left")).toEqual({ type: "accepted", attempt: 2 });

  const take = (step: StepName, which: "first" | "again", nowMs: number) => journal.takeCompensations(step, which, dueAt(nowMs));
  expect(await take("payment", "first", NOW)).toMatchObject({ items: [{ id: 4 }] });
  expect(await take("payment", "again", NOW)).toEqual({ items: [], nextDueMs: NOW + 50 });
  expect(await take("payment", "again", NOW + 50)).toMatchObject({ items: [{ id: 1, orderId: "failed", tries: 7 }] });
  expect(await take("vendor", "again", NOW)).toMatchObject({ items: [{ id: 5, orderId: "crashed", tries: 30 }] });
  expect((await journal.takeEvents(dueAt(NOW))).items).toMatchObject([{ seq: 3, tries: 2 }]);

  // What is done and settled counts for the order.
  await journal.eventDelivered(3, NOW);
  await journal.eventDelivered(5, NOW);
  expect(await journal.compensationTried({ id: 1, step: "payment" }, NOW)).toBe("done");
  const [event] = (await journal.takeEvents(dueAt(NOW))).items;
  expect(JSON.parse(event?.payload ?? "{}")).toMatchObject({ type: "order.compensated", data: { order_id: "failed" } });
  // Ids go on behind those that are gone.
  await journal.finish({ orderId: "left", attempt: 2, answer: answerTo("left", "timeout"), answered: true, nowMs: NOW, compensations: [] });
  expect(await journal.accept({ orderId: "next", amount: 1, nowMs: NOW })).toMatchObject({ attempt: 1 });
  const compensations = [{ step: "payment", trying: false }] as const;
  const ending = { orderId: "next", attempt: 1, answer: answerTo("next", "timeout"), answered: false, compensations, nowMs: NOW };
  expect(await journal.finish(ending)).toEqual([10]);
  await journal.close();
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

test("a migrated journal has the schema of a new one", async () => {
  const schemaOf = (path: string) => {
    const db = new DatabaseSync(path);
    const columns = `SELECT m.name AS owner, i.name, i.type, i."notnull", i.dflt_value, i.pk
      FROM sqlite_schema m, pragma_table_info(m.name) i WHERE m.type = 'table' ORDER BY 1, i.cid`;
    const schema = [db.prepare("SELECT type, name, tbl_name FROM sqlite_schema ORDER BY 1, 2").all(), db.prepare(columns).all()];
    db.close();
    return schema;
  };
  writtenBy(2, OUTBOX);
  await (await Journal.open(file)).close();
  const fresh = join(directory, "fresh.db");
  await (await Journal.open(fresh)).close();
  // The counter of AUTOINCREMENT has its table either way.
  expect(schemaOf(file)).toEqual(schemaOf(fresh));
});

test("a migration that fails leaves nothing behind", async () => {
  // In the way of the third step's end.
  writtenBy(2, `${OUTBOX} CREATE TABLE retired_orders (x);`);
  await expect(Journal.open(file)).rejects.toThrow("table retired_orders already exists");
  const after = new DatabaseSync(file);
  const one = (sql: string) => Object.values(after.prepare(sql).get() ?? {})[0];
  expect(one("PRAGMA user_version")).toBe(2);
  expect(one("SELECT count(*) FROM undo_tasks")).toBe(6);
  expect(one("SELECT request_id FROM open_attempts WHERE order_id = 'open'")).toBe(17);
  expect(one("SELECT count(*) FROM sqlite_schema WHERE name = 'compensations'")).toBe(0);
  after.close();
});
