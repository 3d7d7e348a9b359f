import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import type { Cursor } from "../../src/orders/operator-journal.ts";
import { answerTo, done, JournalFixture, NOW, pending, STORES } from "./journal-fixture.ts";

const LATER = NOW + 1_000;

async function retireAll(at: JournalFixture, beforeMs: number, limit = 100): Promise<number> {
  let batches = 0;
  for (let next: Cursor | null = []; next !== null; batches++) next = await at.journal.retire(beforeMs, next, limit);
  return batches;
}

describe.each(STORES)("retention, journal in %s", (kind) => {
  test("a placed order stays a placed order, with its answer, for good", async () => {
    await using at = await JournalFixture.open(kind);
    await at.run("a", { error: "timeout", compensations: [done("payment")] });
    await at.run("a");
    await retireAll(at, LATER);
    expect(await at.accept("a")).toEqual({ type: "replayed", answer: answerTo("a") });
    expect(await at.accept("a", 101)).toEqual({ type: "conflict" });
    expect(await at.journal.find("a")).toMatchObject({ attemptsTotal: 2, latest: { attempt: 2 }, attempts: [{ attempt: 2 }] });
  });

  test("a failed one goes with its compensations, its number is not given again", async () => {
    await using at = await JournalFixture.open(kind);
    await at.run("a", { error: "timeout", compensations: [done("payment")] });
    await at.run("a", { error: "timeout" });
    await retireAll(at, LATER);
    expect(await at.journal.find("a")).toBeUndefined();
    expect(await at.journal.compensations("done", undefined, 10)).toEqual({ items: [] });
    expect(await at.accept("a", 7)).toEqual({ type: "accepted", attempt: 3 });
    expect(await at.accept("another", 7)).toEqual({ type: "accepted", attempt: 1 });
    await at.finish("a", { attempt: 3, error: "timeout" });
    await retireAll(at, LATER);
    expect(await at.accept("a", 7)).toEqual({ type: "accepted", attempt: 4 });
  });

  test("one that ended at the time or later stays, as does one that runs", async () => {
    await using at = await JournalFixture.open(kind);
    await at.run("old", { error: "timeout", nowMs: NOW });
    await at.run("young", { error: "timeout", nowMs: NOW + 1 });
    await at.accept("runs", 1, undefined, NOW - 5);
    await retireAll(at, NOW + 1);
    expect(await at.journal.find("old")).toBeUndefined();
    expect(await at.journal.find("young")).toBeDefined();
    expect(await at.accept("runs", 1)).toEqual({ type: "running", orderId: "runs", attempt: 1 });
  });

  test("one of which something is not compensated stays until it is, and later attempts keep their numbers meanwhile", async () => {
    await using at = await JournalFixture.open(kind);
    await at.run("a", { error: "timeout", compensations: [done("vendor"), pending("payment")] });
    await at.run("a", { error: "timeout", compensations: [done("payment")] });
    await at.run("a", { error: "timeout" });
    await retireAll(at, LATER);
    expect(await at.journal.find("a")).toMatchObject({ attemptsTotal: 3, latest: { attempt: 1 }, attempts: [{ attempt: 1 }] });
    const [refund] = await at.take("payment");
    expect(refund).toMatchObject({ orderId: "a", attempt: 1 });
    // One that is being tried is not compensated either.
    await retireAll(at, LATER);
    expect(await at.journal.find("a")).toBeDefined();

    // A provider would answer a second attempt 2 with what it did for the first.
    expect(await at.accept("a")).toEqual({ type: "accepted", attempt: 4 });
    await at.finish("a", { attempt: 4, error: "timeout", nowMs: LATER });
    await at.journal.compensationTried({ id: refund?.id ?? 0, step: "payment" }, NOW);
    await retireAll(at, LATER);
    expect(await at.journal.find("a")).toMatchObject({ attemptsTotal: 4, attempts: [{ attempt: 4 }] });
    await retireAll(at, LATER + 1);
    expect(await at.journal.find("a")).toBeUndefined();
    expect(await at.accept("a")).toEqual({ type: "accepted", attempt: 5 });
  });

  test("the number of a later attempt outlives that of an older one that goes after it", async () => {
    await using at = await JournalFixture.open(kind);
    const [refund = 0] = await at.run("a", { error: "timeout", compensations: [pending("payment")] });
    await at.run("a", { error: "timeout" });
    await retireAll(at, LATER);
    await at.journal.settleCompensation(refund, "by hand", NOW);
    await retireAll(at, LATER);
    expect(await at.journal.find("a")).toBeUndefined();
    expect(await at.accept("a")).toEqual({ type: "accepted", attempt: 3 });
  });

  test.each(["done", "settled"])("its age counts from its last compensation, %s long after the attempt's end", async (how) => {
    await using at = await JournalFixture.open(kind);
    const [payment = 0] = await at.run("a", { error: "timeout", compensations: [pending("payment"), done("vendor")], nowMs: NOW });
    const lateMs = NOW + 500;
    if (how === "settled") await at.journal.settleCompensation(payment, "paid back by hand", lateMs);
    else for (const { id, step } of await at.take("payment")) await at.journal.compensationTried({ id, step }, lateMs);
    await retireAll(at, lateMs);
    const row = { id: payment, status: how, endedMs: lateMs };
    expect(await at.journal.compensation(payment)).toMatchObject(row);
    // Sent again for want of an answer.
    if (how === "settled") expect(await at.journal.settleCompensation(payment, "paid back by hand", lateMs + 9)).toMatchObject(row);
    expect(await at.journal.find("a")).toMatchObject({ attempts: [{ attempt: 1 }] });
    await retireAll(at, lateMs + 1);
    expect(await at.journal.compensation(payment)).toBeUndefined();
    expect(await at.journal.find("a")).toBeUndefined();
  });

  test("an attempt that runs while those before it go is the last one all the same, after a crash too", async () => {
    await using at = await JournalFixture.open(kind);
    await at.run("a", { error: "timeout" });
    await at.accept("a");
    await retireAll(at, LATER);
    expect(await at.closeInterrupted(10, NOW)).toBe(1);
    expect(await at.accept("a")).toEqual({ type: "accepted", attempt: 3 });
  });

  test("goes in batches that look at so many attempts each, those that stay included", async () => {
    await using at = await JournalFixture.open(kind);
    const ids = Array.from({ length: 25 }, (_, n) => `o${n}`);
    // All of one millisecond.
    await Promise.all(ids.map((id, n) => at.run(id, { error: "timeout", compensations: n % 2 === 0 ? [pending("payment")] : [] })));
    expect(await retireAll(at, LATER, 10)).toBe(3);
    const found = await Promise.all(ids.map(async (id) => (await at.journal.find(id)) !== undefined));
    expect(found).toEqual(ids.map((_, n) => n % 2 === 0));
    expect(await retireAll(at, LATER, 10)).toBe(2);
  });

  test("dead letters go by when they were given up, in batches", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    for (let n = 0; n < 5; n++) await at.run(`o${n}`);
    for (const [n, { seq }] of (await at.dueEvents(NOW)).items.entries()) await at.journal.giveUpEvent(seq, "410", NOW + n);
    expect(await at.journal.expireDeadLetters(NOW, 10)).toBe(0);
    expect(await at.journal.expireDeadLetters(NOW + 3, 2)).toBe(2);
    expect(await at.journal.expireDeadLetters(NOW + 3, 2)).toBe(1);
    expect(await at.journal.expireDeadLetters(NOW + 3, 2)).toBe(0);
    expect((await at.journal.deadLetters(undefined, 10)).items.map(({ orderId }) => orderId)).toEqual(["o3", "o4"]);
  });
});

test("the room of what was deleted is used again: the file does not grow by as many orders more", async () => {
  await using at = await JournalFixture.open("file");
  const pages = () => Number(at.query("PRAGMA page_count")[0]?.page_count);
  const fill = async (name: string) => {
    await at.journal.close();
    const db = new DatabaseSync(at.file);
    db.exec(`
      WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
      INSERT INTO attempts (order_id, attempt, amount, accepted_ms, ended_ms, error, interrupted, answer)
      SELECT '${name}' || i, 1, 1, ${NOW}, ${NOW}, 'timeout', 0, hex(zeroblob(3500)) FROM n
    `);
    db.close();
    await at.restart();
  };
  await fill("before");
  const before = pages();
  expect(before).toBeGreaterThan(1_000);
  await retireAll(at, LATER, 500);
  expect(at.query("SELECT count(*) AS n FROM attempts")).toEqual([{ n: 0 }]);
  await fill("after");
  // The numbers of the attempts that are gone are kept.
  expect(pages()).toBeLessThan(1.1 * before);
});
