import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { MemoryTables } from "../../src/journal/memory/memory-tables.ts";
import { closeInterrupted } from "../../src/journal/rules/close-interrupted.ts";
import { execute } from "../../src/journal/rules/execute.ts";
import type { Cursor } from "../../src/orders/operator-journal.ts";
import { STEPS } from "../../src/orders/steps.ts";
import { answerTo, DAY_MS, done, dueAt, FAR, JournalFixture, keyOf, NOW, pending, postponed, STORES } from "./journal-fixture.ts";

// What the properties beside this file do not draw: limits of batches, faults of callers, formats, and the extremes.

const ISO_NOW = new Date(NOW).toISOString();

async function retireAll(at: JournalFixture, limit: number): Promise<number> {
  let batches = 0;
  for (let next: Cursor | undefined = []; next !== undefined; batches++) next = await at.journal.retire(NOW + 1_000, next, limit);
  return batches;
}

describe.each(STORES)("journal in %s", (kind) => {
  test("the extremes of amounts and ids come back as they went in", async () => {
    await using at = await JournalFixture.open(kind);
    const orderId = "\u{1F355}'\"%_\\ ".padEnd(128, "ü");
    await at.accept(orderId, Number.MAX_SAFE_INTEGER);
    expect(await at.journal.find(orderId)).toMatchObject({ orderId, amount: Number.MAX_SAFE_INTEGER });
    expect(await at.accept(orderId, Number.MAX_SAFE_INTEGER)).toEqual({ type: "running", orderId, attempt: 1 });
    expect(await at.accept(orderId, Number.MAX_SAFE_INTEGER - 1)).toEqual({ type: "conflict" });
  });

  test("expired keys go in batches, others stay, whatever the time is", async () => {
    await using at = await JournalFixture.open(kind);
    await Promise.all(Array.from({ length: 25 }, (_, n) => at.accept(`o${n}`, 1, keyOf(`k${n}`, "body", NOW + n))));
    expect(await at.journal.expireKeys(NOW - 1, 10)).toBe(0);
    expect(await at.accept("o0", 1, keyOf("k0", "other"), NOW + DAY_MS)).toEqual({ type: "mismatch" });
    expect(await at.journal.expireKeys(NOW + 19, 15)).toBe(15);
    expect(await at.journal.expireKeys(NOW + 19, 15)).toBe(5);
    expect(await at.accept("o20", 1, keyOf("k20", "other"))).toEqual({ type: "mismatch" });
    expect(await at.accept("o19", 1, keyOf("k19", "other"))).toEqual({ type: "running", orderId: "o19", attempt: 1 });
  });

  test("a key of an attempt whose answer nobody received is free for any body, and is the next attempt's from then on", async () => {
    await using at = await JournalFixture.open(kind);
    await at.accept("a", 100, keyOf("k", "body 1"));
    await at.finish("a", { error: "canceled" });
    expect(await at.accept("a", 100, keyOf("k", "body 2"))).toEqual({ type: "accepted", attempt: 2 });
    await at.finish("a", { attempt: 2, error: "timeout" });
    expect(await at.accept("a", 100, keyOf("k", "body 2"))).toEqual({ type: "replayed", answer: answerTo("a", "timeout") });
    expect(await at.accept("a", 100, keyOf("k", "body 1"))).toEqual({ type: "mismatch" });
  });

  test("an attempt or a compensation that is not known is the caller's fault and no one else's", async () => {
    await using at = await JournalFixture.open(kind);
    const [first, attempt, last, row] = await Promise.allSettled([
      at.accept("a"),
      at.finish("b"),
      at.accept("c"),
      at.journal.compensationTried({ id: 4_711, step: "payment" }, NOW),
    ]);
    expect([first, last]).toMatchObject([{ value: { type: "accepted" } }, { value: { type: "accepted" } }]);
    expect(attempt).toMatchObject({ reason: { message: 'attempt 1 at order "b" is not open' } });
    expect(row).toMatchObject({ reason: { message: "there is no compensation 4711" } });
    await expect(at.answer("a", [], { error: "timeout" })).rejects.toThrow('attempt 1 at order "a" has not ended');
    expect(at.journal.healthy).toBe(true);
    expect(await at.accept("c")).toMatchObject({ type: "running" });
    expect(await at.journal.find("b")).toBeUndefined();
  });

  // Only a database refuses halfway: in memory the rules have looked before they write.
  test.runIf(kind === "file")("what the database itself refuses is refused alone, halfway through an operation too", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    await Promise.all([at.accept("a"), at.accept("b"), at.accept("c")]);
    const twice = { error: "timeout", compensations: [pending("payment"), pending("payment")] } as const;
    const [a, b, c] = await Promise.allSettled([at.finish("a"), at.fail("b", twice), at.finish("c")]);
    expect([a.status, c.status]).toEqual(["fulfilled", "fulfilled"]);
    expect(b).toMatchObject({ reason: { message: expect.stringContaining("UNIQUE") } });
    expect((await at.payloads()).map(({ data }) => data.order_id)).toEqual(["a", "c"]);
    expect(await at.accept("b")).toMatchObject({ type: "running" });
    await at.finish("b", { error: "timeout" });
    expect((await at.journal.find("b"))?.latest).toMatchObject({ ended: { answer: { status: "error" } }, compensations: [] });
  });

  test("events have what they tell of, an id of their own that stays, and a day; none is written without a receiver", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    await at.run("placed");
    await at.run("nothing", { error: "no_courier" });
    await at.run("done", { error: "no_courier", compensations: [done("vendor"), done("payment")] });
    await at.run("pending", { error: "no_courier", compensations: [done("vendor"), postponed("payment")] });
    const { items } = await at.dueEvents(NOW);
    for (const { id } of items) expect(id).toMatch(/^evt_[0-9a-f-]{36}$/);
    expect(new Set(items.map(({ id }) => id)).size).toBe(items.length);
    expect(items.map(({ createdMs, expiresMs, tries }) => [createdMs, expiresMs, tries])).toEqual(items.map(() => [NOW, NOW + DAY_MS, 0]));
    expect(await at.dueEvents(NOW, 2)).toEqual({ items: items.slice(0, 2) });
    if (kind !== "memory") await at.restart({});
    if (kind !== "memory") expect((await at.dueEvents(NOW)).items).toEqual(items);
    const data = { amount: 100, attempt: 1 };
    const failed = { ...data, error: "no_courier" };
    expect(await at.payloads()).toEqual([
      { type: "order.placed", timestamp: ISO_NOW, data: { order_id: "placed", ...data } },
      { type: "order.failed", timestamp: ISO_NOW, data: { order_id: "nothing", ...failed } },
      { type: "order.failed", timestamp: ISO_NOW, data: { order_id: "done", ...failed } },
      { type: "order.compensated", timestamp: ISO_NOW, data: { order_id: "done", ...failed } },
      { type: "order.failed", timestamp: ISO_NOW, data: { order_id: "pending", ...failed } },
    ]);
    if (kind === "memory") return;
    // From here on there is no receiver: not for a new order, and not for the last compensation of one that had told of its failure.
    await at.run("b");
    for (const { id, step } of await at.take("payment")) expect(await at.journal.compensationTried({ id, step }, NOW)).toBe("done");
    expect(await at.payloads()).toEqual([]);
  });

  test("no id of a row that is gone is given again", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    const ids = await at.run("a", { error: "timeout", compensations: [done("payment"), done("vendor")] });
    const lastEvent = Math.max(...(await at.deliverAll()).map(({ seq }) => seq));
    await retireAll(at, 10);
    expect(await at.journal.compensations("done", undefined, 10)).toEqual({ items: [] });
    if (kind !== "memory") await at.restart();
    const [id = 0] = await at.run("b", { error: "timeout", compensations: [pending("payment")] });
    expect(id).toBeGreaterThan(Math.max(...ids));
    expect((await at.dueEvents(NOW)).items[0]?.seq).toBeGreaterThan(lastEvent);
  });

  test("lists, backlog and orders say what waits, what is under way too", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    await at.run("a", { error: "timeout", compensations: [done("courier"), postponed("vendor", NOW + 20), pending("payment")] });
    await at.run("b", { error: "no_courier", compensations: [postponed("payment", NOW + 1)], nowMs: NOW + 9 });
    await at.run("c", { nowMs: NOW + 10 });
    await at.accept("d", 4, undefined, NOW + 11);
    const named = ({ items }: { items: readonly { orderId: string; step: string }[] }) =>
      items.map(({ orderId, step }) => `${orderId} ${step}`);
    const page = await at.journal.compensations("pending", undefined, 2);
    const rest = await at.journal.compensations("pending", page.next, 2);
    expect([named(page), named(rest), rest.next]).toEqual([["a vendor", "a payment"], ["b payment"], undefined]);
    await at.journal.takeCompensations("payment", "first", dueAt(NOW));
    expect(named(await at.journal.compensations("pending", undefined, 10))).toEqual(["a vendor", "b payment"]);
    expect(named(await at.journal.compensations("trying", undefined, 10))).toEqual(["a payment"]);
    expect(await at.journal.backlog()).toMatchObject({
      compensations: { payment: { count: 2, sinceMs: NOW }, vendor: { count: 1, sinceMs: NOW }, courier: { count: 0 } },
      events: { count: 3, sinceMs: NOW },
      deadLetters: 0,
    });
    const { items } = await at.journal.orders({}, undefined, 10);
    const listed = items.map(({ orderId, status }) => `${orderId} ${status}`);
    expect(listed).toEqual(["d running", "c ok", "b compensating", "a compensating"]);
  });

  test("attempts that a crash left open are closed as failed, with every step to be compensated, a batch at a time", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    await at.run("ended");
    await at.accept("a", 9, keyOf("k"));
    await at.accept("b");
    await at.accept("c");
    if (kind === "file") await at.restart();
    const life = at.journal.cluster?.life;
    const closed: number[] = [];
    for (let batch = 0; batch < 3; batch++) closed.push(await at.closeInterrupted(2, NOW + 60, life));
    expect(closed).toEqual([2, 1, 0]);
    const steps = STEPS.map((name) => ({ name, status: "error", duration_ms: 0, detail: "internal" }));
    const answer = { status: "error", order_id: "a", steps, error: { kind: "internal", message: "order failed" } };
    const compensations = STEPS.map((step) => ({ step, tries: 0, status: "pending" }));
    const attempt = { attempt: 1, amount: 9, acceptedMs: NOW, ended: { atMs: NOW + 60, answer, interrupted: true }, compensations };
    expect(await at.journal.find("a")).toEqual({ orderId: "a", amount: 9, attemptsTotal: 1, latest: attempt, attempts: [attempt] });
    for (const step of STEPS) {
      const due = await at.journal.takeCompensations(step, "first", dueAt(NOW + 60));
      expect(due.items.map(({ orderId }) => orderId).sort()).toEqual(["a", "b", "c"]);
    }
    const told = (await at.payloads()).map(({ type, data }) => `${type} ${data.order_id} ${data.error}`);
    expect(told).toEqual(["order.placed ended undefined", ...["a", "b", "c"].map((orderId) => `order.failed ${orderId} internal`)]);
    // Nobody got its answer, so its key is free.
    expect(await at.accept("a", 9, keyOf("k", "another body"))).toEqual({ type: "accepted", attempt: 2 });
  });

  test("retention goes in batches that look at so many attempts each, those that stay included; dead letters by when they were given up", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    const ids = Array.from({ length: 25 }, (_, n) => `o${String(n).padStart(2, "0")}`);
    // All of one millisecond.
    await Promise.all(ids.map((id, n) => at.run(id, { error: "timeout", compensations: n % 2 === 0 ? [pending("payment")] : [] })));
    await at.run("placed");
    const letters = (await at.dueEvents(NOW)).items.filter(({ orderId }) => orderId < "o05");
    for (const [n, { seq }] of letters.entries()) await at.journal.giveUpEvent(seq, "410", NOW + n);
    expect(await retireAll(at, 10)).toBe(3);
    const found = await Promise.all(ids.map(async (id) => (await at.journal.find(id)) !== undefined));
    expect(found).toEqual(ids.map((_, n) => n % 2 === 0));
    expect(await retireAll(at, 10)).toBe(2);
    expect(await at.accept("placed")).toEqual({ type: "replayed", answer: answerTo("placed") });
    const expired: number[] = [];
    for (const beforeMs of [NOW, NOW + 3, NOW + 3, NOW + 3]) expired.push(await at.journal.expireDeadLetters(beforeMs, 2));
    expect(expired).toEqual([0, 2, 1, 0]);
    expect((await at.journal.deadLetters(undefined, 10)).items).toHaveLength(2);
    expect(await at.journal.giveUpExpired(NOW + DAY_MS - 1, "24 h", NOW + DAY_MS, 100)).toBe(0);
    const givenUp: number[] = [];
    for (let batch = 0; batch < 3; batch++) givenUp.push(await at.journal.giveUpExpired(NOW + DAY_MS, "24 h", NOW + DAY_MS, 15));
    expect(givenUp).toEqual([15, 6, 0]);
    expect((await at.journal.deadLetters(undefined, 100)).items.at(-1)).toMatchObject({ givenUpMs: NOW + DAY_MS, reason: "24 h" });
    expect(await at.dueEvents(FAR)).toEqual({ items: [] });
  });
});

test("calls of an attempt may still be under way when it is closed: then it is compensated later, what was being tried at once", () => {
  const tables = new MemoryTables(true);
  execute(tables, ["accept", "tried", 100, NOW]);
  execute(tables, ["finish", "tried", 1, "timeout", "{}", 1, NOW, [["payment", true]]]);
  execute(tables, ["answer", "tried", 1, "{}", 1, NOW, []]);
  execute(tables, ["accept", "ran", 100, NOW]);
  expect(closeInterrupted(tables, 10, NOW, NOW + 7_000)).toBe(1);
  const due = (nowMs: number) => tables.compensations.takeDue("payment", "first", nowMs, 10, false);
  expect(due(NOW)).toMatchObject({ items: [{ orderId: "tried" }], nextDueMs: NOW + 7_000 });
  expect(due(NOW + 6_999)).toEqual({ items: [], nextDueMs: NOW + 7_000 });
  expect(due(NOW + 7_000)).toMatchObject({ items: [{ orderId: "ran" }] });
});

test("the room of what was deleted is used again: the file does not grow by as many orders more", async () => {
  await using at = await JournalFixture.open("file");
  const pages = () => Number(at.query("PRAGMA page_count")[0]?.page_count);
  const fill = async (name: string) => {
    await at.journal.close();
    const db = new DatabaseSync(at.file);
    db.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
      INSERT INTO attempts (order_id, attempt, amount, accepted_ms, ended_ms, error, interrupted, answer)
      SELECT '${name}' || i, 1, 1, ${NOW}, ${NOW}, 'timeout', 0, hex(zeroblob(3500)) FROM n`);
    db.close();
    await at.restart();
  };
  await fill("before");
  const before = pages();
  expect(before).toBeGreaterThan(1_000);
  await retireAll(at, 500);
  expect(at.query("SELECT count(*) AS n FROM attempts")).toEqual([{ n: 0 }]);
  await fill("after");
  expect(pages()).toBeLessThan(1.1 * before);
});

test("the count of what waits is right while rows are taken and given back", async () => {
  await using at = await JournalFixture.open("file");
  const [id = 0] = await at.run("a", { error: "timeout", compensations: [postponed("payment")] });
  let ends = false;
  let tries = 0;
  const trying = (async () => {
    for (; !ends; tries++) {
      await at.journal.takeCompensation(id, NOW, "me");
      await at.journal.compensationTried({ id, step: "payment", nextTryMs: NOW }, NOW);
    }
  })();
  const seen = new Set<string>();
  for (let look = 0; look < 500 || tries <= 20; look++) seen.add(JSON.stringify((await at.journal.backlog()).compensations.payment));
  ends = true;
  await trying;
  expect([...seen]).toEqual([JSON.stringify({ count: 1, sinceMs: NOW })]);
});
