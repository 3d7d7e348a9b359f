import { describe, expect, test } from "vitest";
import type { FirstTry } from "../../src/orders/order-journal.ts";
import type { StepName } from "../../src/orders/steps.ts";
import { done, JournalFixture, NOW, pending } from "./journal-fixture.ts";

describe.each(["file", "memory"] as const)("compensations, journal in a %s", (kind) => {
  const THREE = [done("courier"), pending("vendor", NOW + 20, 1), pending("payment", NOW + 10)];

  async function failed(orderId: string, compensations: readonly FirstTry[] = THREE) {
    const at = await JournalFixture.open(kind, { events: true });
    await at.accept(orderId, 70);
    await at.finish(orderId, { error: "timeout", compensations });
    return at;
  }

  test("one that a clock put far ahead, before it was set right, is due behind all others", async () => {
    const yearMs = 365 * 86_400_000;
    await using at = await failed("a year ahead", [pending("payment", NOW + yearMs)]);
    await at.run("soon", { error: "timeout", compensations: [pending("payment", NOW + 3_600_000)] });
    await at.run("due", { error: "timeout", compensations: [pending("payment", NOW)] });
    const due = async (limit: number) => (await at.journal.dueCompensations("payment", NOW, limit)).items.map(({ orderId }) => orderId);
    expect(await due(10)).toEqual(["due", "a year ahead"]);
    expect(await due(1)).toEqual(["due"]);
  });

  test("those of a step that are due are found, longest due first, with the time of the next", async () => {
    await using at = await failed("late", [pending("payment", NOW + 30)]);
    await at.run("early", { error: "timeout", compensations: [pending("payment", NOW + 10), pending("vendor", NOW)] });
    await at.run("middle", { error: "timeout", compensations: [pending("payment", NOW + 20, 1)] });
    await at.run("done", { error: "timeout", compensations: [done("payment")] });
    const due = async (nowMs: number, limit = 10) => {
      const { items, nextDueMs } = await at.journal.dueCompensations("payment", nowMs, limit);
      return [items.map(({ orderId }) => orderId), nextDueMs];
    };
    expect(await due(NOW + 9)).toEqual([[], NOW + 10]);
    expect(await due(NOW + 10)).toEqual([["early"], NOW + 20]);
    expect(await due(NOW + 29)).toEqual([["early", "middle"], NOW + 30]);
    expect(await due(NOW + 30)).toEqual([["early", "middle", "late"], undefined]);
    expect(await due(NOW + 30, 2)).toEqual([["early", "middle"], undefined]);
    expect((await at.journal.dueCompensations("payment", NOW + 30, 10)).items).toEqual([
      { id: expect.any(Number), orderId: "early", attempt: 1, amount: 100, step: "payment", tries: 0 },
      { id: expect.any(Number), orderId: "middle", attempt: 1, amount: 100, step: "payment", tries: 1 },
      { id: expect.any(Number), orderId: "late", attempt: 1, amount: 70, step: "payment", tries: 0 },
    ]);
    expect(await at.journal.dueCompensations("courier", NOW + 30, 10)).toEqual({ items: [] });
  });

  test("a failed try is counted and put off, with what the provider said, over a restart; one that is done stays done", async () => {
    await using at = await failed("a");
    const tried = { orderId: "a", attempt: 1, step: "vendor", nowMs: NOW + 25 } as const;
    await at.journal.compensationTried({ ...tried, nextTryMs: NOW + 100, lastAnswer: "503" });
    if (kind === "file") await at.restart();
    expect(await at.journal.dueCompensations("vendor", NOW + 99, 10)).toEqual({ items: [], nextDueMs: NOW + 100 });
    const [due] = (await at.journal.dueCompensations("vendor", NOW + 100, 10)).items;
    expect(due).toMatchObject({ orderId: "a", tries: 2 });
    expect(await at.journal.compensation(due?.id ?? 0)).toEqual({
      id: due?.id,
      orderId: "a",
      attempt: 1,
      step: "vendor",
      amount: 70,
      status: "pending",
      sinceMs: NOW,
      tries: 2,
      nextTryMs: NOW + 100,
      lastAnswer: "503",
    });
    await at.journal.compensationTried({ ...tried, lastAnswer: "200", nowMs: NOW + 101 });
    await at.journal.compensationTried({ ...tried, nextTryMs: NOW + 200, nowMs: NOW + 102 });
    expect(await at.journal.dueCompensations("vendor", NOW + 1_000, 10)).toEqual({ items: [] });
    expect(await at.journal.compensation(due?.id ?? 0)).toMatchObject({ status: "done", tries: 3, lastAnswer: "200", endedMs: NOW + 101 });
    expect((await at.journal.find("a"))?.latest.compensations).toEqual([
      { step: "courier", tries: 1, status: "done" },
      { step: "vendor", tries: 3, status: "done" },
      { step: "payment", tries: 0, status: "pending" },
    ]);
  });

  test("the last one done makes the order compensated, once", async () => {
    await using at = await failed("a");
    const finish = (step: StepName) => at.journal.compensationTried({ orderId: "a", attempt: 1, step, nowMs: NOW + 5 });
    await finish("payment");
    expect((await at.payloads()).map(({ type }) => type)).toEqual(["order.failed"]);
    await Promise.all([finish("vendor"), finish("vendor"), finish("payment")]);
    expect(await at.payloads()).toEqual([
      {
        type: "order.compensated",
        timestamp: new Date(NOW + 5).toISOString(),
        data: { order_id: "a", amount: 70, attempt: 1, error: "timeout" },
      },
    ]);
  });

  test("one that an operator settles ends its tries and counts for the order; its note stays, whatever comes later", async () => {
    await using at = await failed("a");
    await at.deliverAll();
    const idOf = async (step: StepName) => (await at.journal.dueCompensations(step, NOW + 1_000, 10)).items[0]?.id ?? 0;
    const [vendor, payment] = [await idOf("vendor"), await idOf("payment")];
    const settled = await at.journal.settleCompensation(vendor, "refunded by bank transfer", NOW + 50);
    expect(settled).toMatchObject({ id: vendor, status: "settled", note: "refunded by bank transfer", endedMs: NOW + 50, tries: 1 });
    expect(await at.journal.dueCompensations("vendor", NOW + 1_000, 10)).toEqual({ items: [] });
    expect(await at.payloads()).toEqual([]);
    // A try that was on its way meanwhile, and a second operator.
    await at.journal.compensationTried({ orderId: "a", attempt: 1, step: "vendor", nowMs: NOW + 60 });
    expect(await at.journal.settleCompensation(vendor, "again", NOW + 70)).toEqual(settled);
    await at.journal.settleCompensation(payment, "too", NOW + 80);
    expect((await at.payloads()).map(({ type, data }) => [type, data.order_id])).toEqual([["order.compensated", "a"]]);
    expect((await at.journal.find("a"))?.latest.compensations.map(({ status }) => status)).toEqual(["done", "settled", "settled"]);
    // One that is done is not settled any more, and one that is not there is nobody's.
    const [first] = (await at.journal.compensations("done", undefined, 10)).items;
    expect(await at.journal.settleCompensation(first?.id ?? 0, "late", NOW + 90)).toEqual(first);
    expect(await at.journal.settleCompensation(4_711, "no such", NOW)).toBeUndefined();
    expect(await at.payloads()).toEqual([]);
  });

  test("a try for an attempt that is not known is the caller's fault; for a step without a compensation it is nothing", async () => {
    await using at = await failed("a", [pending("payment")]);
    const tried = { orderId: "a", attempt: 1, step: "vendor", nowMs: NOW } as const;
    await expect(at.journal.compensationTried({ ...tried, attempt: 2 })).rejects.toThrow('attempt 2 at order "a" has not ended');
    await at.journal.compensationTried(tried);
    expect((await at.journal.dueCompensations("payment", NOW, 10)).items).toMatchObject([{ step: "payment", tries: 0 }]);
  });

  test("lists, backlog and orders say what waits", async () => {
    await using at = await failed("a");
    await at.run("b", { error: "no_courier", compensations: [pending("payment", NOW + 1)], nowMs: NOW + 9 });
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
