import { afterEach, expect, test, vi } from "vitest";
import { Connection } from "../../src/journal/postgres/connection.ts";
import type { Statement } from "../../src/journal/postgres/sql.ts";
import { answerTo, done, JournalFixture, keyOf, NOW, postponed } from "../journal/journal-fixture.ts";

// Batches for which nothing is looked up before they are written. Calls of one turn of the event loop are one batch.

afterEach(() => {
  vi.restoreAllMocks();
});

/** The names of the statements that go out from now on, but for those that a session sends by itself. */
function statements(): string[] {
  const names: string[] = [];
  const { rows } = Connection.prototype;
  vi.spyOn(Connection.prototype, "rows").mockImplementation(function (this: Connection, statement: Statement, values?: readonly unknown[]) {
    if (statement.name !== "beat" && statement.name !== "free_lives") names.push(statement.name);
    const sent = rows.call(this, statement, values);
    // So the replies to a transaction come at one time.
    if (statement.name === "commit") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    return sent as never;
  });
  return names;
}

const FAILING = { error: "no_courier", compensations: [done("payment"), done("vendor")] } as const;

test("new orders with keys and without, the ends of orders and of two compensations are one statement for each batch", async () => {
  await using fixture = await JournalFixture.open("postgres", { events: true });
  const names = statements();
  await Promise.all([fixture.accept("a"), fixture.accept("b", 100, keyOf("k")), fixture.accept("c")]);
  const [, ids] = await Promise.all([fixture.finish("a"), fixture.fail("c", FAILING)]);
  await Promise.all([fixture.finish("b"), fixture.answer("c", ids, FAILING)]);
  expect(names).toEqual(["write_batch", "write_batch", "write_batch"]);
  const types = (await fixture.payloads()).map(({ type, data }) => `${type} ${data.order_id}`);
  expect(types.slice(0, 2).toSorted()).toEqual(["order.failed c", "order.placed a"]);
  expect(types.slice(2).toSorted()).toEqual(["order.compensated c", "order.placed b"]);
  expect(await fixture.accept("b", 100, keyOf("k"))).toEqual({ type: "replayed", answer: answerTo("b") });
  expect((await fixture.journal.find("c"))?.latest.compensations.map(({ status }) => status)).toEqual(["done", "done"]);
});

test("a key of another order is found, and what one batch says of a key follows from what is known of its order", async () => {
  await using fixture = await JournalFixture.open("postgres");
  await fixture.accept("a", 100, keyOf("k1", "hash a"));
  await fixture.finish("a");
  await fixture.run("b", { error: "internal" });
  await fixture.run("f");
  expect((await fixture.accept("c", 100, keyOf("k1", "hash c"))).type).toBe("mismatch");
  const results = await Promise.all([
    fixture.accept("b", 100, keyOf("k2", "hash b")),
    fixture.accept("d", 100, keyOf("k2", "hash d")),
    fixture.accept("e", 100, keyOf("k3", "hash e")),
    fixture.accept("f", 5, keyOf("k5", "hash f")),
    fixture.accept("g", 100, keyOf("k5", "hash g")),
    fixture.accept("h"),
    fixture.accept("h", 5, keyOf("k1", "hash h")),
  ]);
  expect(results.map(({ type }) => type)).toEqual(["accepted", "mismatch", "accepted", "conflict", "accepted", "accepted", "mismatch"]);
  expect([await fixture.journal.find("c"), await fixture.journal.find("d")]).toEqual([undefined, undefined]);
  // It runs, so its key may be stored: it is, and is not stored again.
  expect((await fixture.accept("e", 100, keyOf("k3", "hash e"))).type).toBe("running");
  expect((await fixture.accept("e", 100, keyOf("k4", "hash e"))).type).toBe("running");
  await fixture.finish("e");
  expect((await fixture.accept("e", 100, keyOf("k4", "hash e"))).type).toBe("replayed");
});

test("an answer that comes after a try that was stored by itself finds that try's end", async () => {
  await using fixture = await JournalFixture.open("postgres", { events: true });
  const { journal } = fixture;
  for (const [orderId, end] of [
    ["a", done("vendor")],
    ["b", postponed("vendor", NOW, "HTTP 500")],
  ] as const) {
    await fixture.accept(orderId);
    const ids = await fixture.fail(orderId, FAILING);
    const { tried } = end;
    if (tried === undefined) throw new Error("it was tried");
    await journal.compensationTried({ ...tried, id: ids[1] as number, step: "vendor" }, NOW);
    await fixture.answer(orderId, ids.slice(0, 1), { error: "no_courier", compensations: [done("payment")] });
  }
  const compensated = (await fixture.payloads()).filter(({ type }) => type === "order.compensated");
  expect(compensated.map(({ data }) => data.order_id)).toEqual(["a"]);
  expect((await journal.find("b"))?.latest.compensations.map(({ status }) => status)).toEqual(["done", "pending"]);
});

test("a compensation that is no longer in this life's hands is looked up", async () => {
  await using fixture = await JournalFixture.open("postgres");
  const { journal } = fixture;
  await fixture.accept("a");
  const ids = await fixture.fail("a", FAILING);
  const sql = journal.cluster?.sql;
  await sql?.rows({ name: "take_away", text: "UPDATE compensations SET state = 'held', taken_by = NULL WHERE id = $1" }, [ids[0]]);
  const names = statements();
  // What fails after it in the batch does not hide why.
  await Promise.all([fixture.answer("a", ids, FAILING), journal.noteAction({ atMs: NOW, actor: "ann", action: "backup", detail: "" })]);
  expect(names).toContain("compensations");
  expect((await journal.find("a"))?.latest.compensations.map(({ status }) => status)).toEqual(["held", "done"]);
});
