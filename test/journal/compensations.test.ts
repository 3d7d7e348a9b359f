import { describe, expect, test } from "vitest";
import type { StepName } from "../../src/orders/steps.ts";
import { done, dueAt, JournalFixture, NOW, type Planned, pending, postponed, STORES } from "./journal-fixture.ts";

describe.each(STORES)("compensations, journal in %s", (kind) => {
  const THREE = [done("courier"), postponed("vendor", NOW + 20), pending("payment")];

  async function failed(orderId: string, compensations: readonly Planned[] = THREE) {
    const at = await JournalFixture.open(kind, { events: true });
    await at.accept(orderId, 70);
    const ids = await at.finish(orderId, { error: "timeout", compensations });
    return Object.assign(at, { ids });
  }

  test("those that are due are taken, each by one, with the time of the next; never tried ones apart from the others", async () => {
    await using at = await failed("late", [postponed("payment", NOW + 30)]);
    await at.run("early", { error: "timeout", compensations: [postponed("payment", NOW + 10), pending("vendor")] });
    await at.run("middle", { error: "timeout", compensations: [postponed("payment", NOW + 20)] });
    await at.run("new", { error: "timeout", compensations: [pending("payment")] });
    await at.run("done", { error: "timeout", compensations: [done("payment")] });
    const take = async (which: "first" | "again", nowMs: number, limit = 10) => {
      const { items, nextDueMs } = await at.journal.takeCompensations("payment", which, dueAt(nowMs, limit));
      return [items.map(({ orderId }) => orderId), nextDueMs];
    };
    expect(await take("again", NOW + 9)).toEqual([[], NOW + 10]);
    expect(await take("again", NOW + 29, 1)).toEqual([["early"], NOW + 30]);
    expect(await take("again", NOW + 29)).toEqual([["middle"], NOW + 30]);
    expect(await take("first", NOW + 29)).toEqual([["new"], undefined]);
    expect(await at.journal.takeCompensations("payment", "again", dueAt(NOW + 30))).toEqual({
      items: [{ id: at.ids[0], orderId: "late", attempt: 1, amount: 70, step: "payment", tries: 1 }],
    });
    for (const which of ["first", "again"] as const) expect(await take(which, NOW + 1_000)).toEqual([[], undefined]);
    const { items } = await at.journal.compensations("trying", undefined, 10);
    expect(items.map(({ orderId, nextTryMs }) => [orderId, nextTryMs])).toEqual([
      ["late", undefined],
      ["early", undefined],
      ["middle", undefined],
      ["new", undefined],
    ]);
    expect(await at.take("courier", NOW + 1_000)).toEqual([]);
  });

  test("a failed try is counted and put off, with what the provider said, over a restart; one that is done stays done", async () => {
    await using at = await failed("a");
    const [, vendor = 0] = at.ids;
    expect(await at.take("vendor", NOW + 20)).toMatchObject([{ id: vendor, tries: 1 }]);
    const put = { id: vendor, step: "vendor", nextTryMs: NOW + 100, lastAnswer: "HTTP 502" } as const;
    expect(await at.journal.compensationTried(put, NOW + 25)).toBe("pending");
    if (kind !== "memory") await at.restart();
    expect(await at.journal.takeCompensations("vendor", "again", dueAt(NOW + 99))).toEqual({ items: [], nextDueMs: NOW + 100 });
    expect(await at.journal.compensation(vendor)).toEqual({
      id: vendor,
      orderId: "a",
      attempt: 1,
      step: "vendor",
      amount: 70,
      status: "pending",
      sinceMs: NOW,
      tries: 2,
      nextTryMs: NOW + 100,
      lastAnswer: "HTTP 502",
    });
    expect(await at.take("vendor", NOW + 100)).toMatchObject([{ orderId: "a", tries: 2 }]);
    expect(await at.journal.compensationTried({ id: vendor, step: "vendor" }, NOW + 101)).toBe("done");
    const over = await at.journal.compensation(vendor);
    expect(over).toMatchObject({ status: "done", tries: 3, endedMs: NOW + 101 });
    expect(over).not.toHaveProperty("lastAnswer");
    expect(await at.journal.compensationTried({ ...put, nextTryMs: NOW + 200 }, NOW + 102)).toBe("done");
    expect(await at.take("vendor", NOW + 1_000)).toEqual([]);
    expect(await at.journal.compensation(vendor)).toEqual({ ...over, lastAnswer: "late: HTTP 502" });
    expect((await at.journal.find("a"))?.latest.compensations).toEqual([
      { step: "courier", tries: 1, status: "done" },
      { step: "vendor", tries: 3, status: "done" },
      { step: "payment", tries: 0, status: "pending" },
    ]);
  });

  test("the last one done makes the order compensated, once, however often it is told", async () => {
    await using at = await failed("a");
    await Promise.all([at.take("vendor", NOW + 20), at.take("payment")]);
    const [, vendor = 0, payment = 0] = at.ids;
    const finish = (id: number, step: StepName) => at.journal.compensationTried({ id, step }, NOW + 5);
    await finish(payment, "payment");
    expect((await at.payloads()).map(({ type }) => type)).toEqual(["order.failed"]);
    const states = await Promise.all([finish(vendor, "vendor"), finish(vendor, "vendor"), finish(payment, "payment")]);
    expect(states).toEqual(["done", "done", "done"]);
    expect(await at.payloads()).toEqual([
      {
        type: "order.compensated",
        timestamp: new Date(NOW + 5).toISOString(),
        data: { order_id: "a", amount: 70, attempt: 1, error: "timeout" },
      },
    ]);
  });

  test("one that an operator takes is nobody else's, due or not; one under way, done or unknown is not taken", async () => {
    await using at = await failed("a");
    const [courier = 0, vendor = 0] = at.ids;
    const take = (id: number) => at.journal.takeCompensation(id, NOW, "me");
    expect(await take(vendor)).toMatchObject({ id: vendor, status: "pending", tries: 1, nextTryMs: NOW + 20 });
    expect(await at.take("vendor", NOW + 1_000)).toEqual([]);
    expect(await take(vendor)).toMatchObject({ id: vendor, status: "trying" });
    expect(await take(courier)).toMatchObject({ id: courier, status: "done" });
    expect(await take(4_711)).toBeUndefined();
    expect(await at.journal.compensationTried({ id: vendor, step: "vendor" }, NOW)).toBe("done");
    expect(await at.journal.compensation(courier)).toMatchObject({ status: "done", tries: 1 });
  });

  test("one that an operator settles ends its tries and counts for the order; its note stays, whatever comes later", async () => {
    await using at = await failed("a");
    await at.deliverAll();
    const [, vendor = 0, payment = 0] = at.ids;
    const settle = (id: number, note: string, nowMs: number) => at.journal.settleCompensation(id, note, nowMs, "me");
    // Not while a try is under way: its answer would be lost.
    await at.take("vendor", NOW + 20);
    expect(await settle(vendor, "too early", NOW + 40)).toMatchObject({ id: vendor, status: "trying" });
    await at.journal.compensationTried({ id: vendor, step: "vendor", nextTryMs: NOW + 60, lastAnswer: "HTTP 500" }, NOW + 45);
    const settled = await settle(vendor, "refunded by bank transfer", NOW + 50);
    expect(settled).toMatchObject({ id: vendor, status: "settled", note: "refunded by bank transfer", endedMs: NOW + 50, tries: 2 });
    expect(await at.take("vendor", NOW + 1_000)).toEqual([]);
    expect(await at.payloads()).toEqual([]);
    // A late answer is on record, a second operator comes too late.
    expect(await at.journal.compensationTried({ id: vendor, step: "vendor" }, NOW + 60)).toBe("settled");
    expect(await settle(vendor, "again", NOW + 70)).toEqual({ ...settled, lastAnswer: "late: done" });
    await settle(payment, "too", NOW + 80);
    expect((await at.payloads()).map(({ type, data }) => [type, data.order_id])).toEqual([["order.compensated", "a"]]);
    expect((await at.journal.find("a"))?.latest.compensations.map(({ status }) => status)).toEqual(["done", "settled", "settled"]);
    // One that is done is not settled any more, and one that is not there is nobody's.
    const [first] = (await at.journal.compensations("done", undefined, 10)).items;
    expect(await settle(first?.id ?? 0, "late", NOW + 90)).toEqual(first);
    expect(await settle(4_711, "no such", NOW)).toBeUndefined();
    expect(await at.payloads()).toEqual([]);
  });

  test("a try of one that is not known is the caller's fault and no one else's", async () => {
    await using at = await failed("a", [pending("payment")]);
    const [{ id } = { id: 0 }] = await at.take("payment");
    const [unknown, known] = await Promise.allSettled([
      at.journal.compensationTried({ id: 4_711, step: "payment" }, NOW),
      at.journal.compensationTried({ id, step: "payment" }, NOW),
    ]);
    expect(unknown).toMatchObject({ reason: { message: "there is no compensation 4711" } });
    expect(known).toMatchObject({ value: "done" });
    expect(at.journal.healthy).toBe(true);
  });

  test("the id of one that is gone is not given again", async () => {
    await using at = await failed("a", [done("payment"), done("vendor")]);
    for (let next: readonly (number | string)[] | null = []; next !== null; ) next = await at.journal.retire(NOW + 1, next, 10);
    expect(await at.journal.compensations("done", undefined, 10)).toEqual({ items: [] });
    if (kind !== "memory") await at.restart();
    const [id = 0] = await at.run("b", { error: "timeout", compensations: [pending("payment")] });
    expect(id).toBeGreaterThan(Math.max(...at.ids));
    expect(at.ids).toHaveLength(2);
  });

  test("lists, backlog and orders say what waits, what is under way too", async () => {
    await using at = await failed("a");
    await at.run("b", { error: "no_courier", compensations: [postponed("payment", NOW + 1)], nowMs: NOW + 9 });
    await at.run("c", { nowMs: NOW + 10 });
    await at.accept("d", 4, undefined, NOW + 11);
    const page = await at.journal.compensations("pending", undefined, 2);
    expect(page.items.map(({ orderId, step }) => [orderId, step])).toEqual([
      ["a", "vendor"],
      ["a", "payment"],
    ]);
    const rest = await at.journal.compensations("pending", page.next, 2);
    expect(rest.items.map(({ orderId, step }) => [orderId, step])).toEqual([["b", "payment"]]);
    expect(rest.next).toBeUndefined();
    await at.journal.takeCompensations("payment", "first", dueAt(NOW));
    expect((await at.journal.compensations("pending", undefined, 10)).items.map(({ orderId }) => orderId)).toEqual(["a", "b"]);
    expect((await at.journal.compensations("trying", undefined, 10)).items).toMatchObject([{ orderId: "a", step: "payment" }]);
    expect(await at.journal.backlog()).toMatchObject({
      compensations: { payment: { count: 2, sinceMs: NOW }, vendor: { count: 1, sinceMs: NOW }, courier: { count: 0 } },
      events: { count: 3, sinceMs: NOW },
      deadLetters: 0,
    });
    const { items } = await at.journal.orders({}, undefined, 10);
    expect(items.map(({ orderId, status }) => [orderId, status])).toEqual([
      ["d", "running"],
      ["c", "ok"],
      ["b", "compensating"],
      ["a", "compensating"],
    ]);
  });
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
  for (let look = 0; look < 2_000 || tries <= 20; look++) seen.add(JSON.stringify((await at.journal.backlog()).compensations.payment));
  ends = true;
  await trying;
  expect([...seen]).toEqual([JSON.stringify({ count: 1, sinceMs: NOW })]);
});
