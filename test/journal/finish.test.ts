import { describe, expect, test } from "vitest";
import { answerTo, done, JournalFixture, NOW, pending } from "./journal-fixture.ts";

const ISO_NOW = new Date(NOW).toISOString();

describe.each(["file", "memory"] as const)("finish, journal in a %s", (kind) => {
  test("closes the attempt; a second one is the caller's fault and changes nothing", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    await at.accept("a");
    expect(await at.finish("a")).toBeUndefined();
    const again = at.finish("a", { error: "timeout", compensations: [pending("payment")] });
    await expect(again).rejects.toThrow('attempt 1 at order "a" is not open');
    expect(await at.accept("a")).toEqual({ type: "replayed", answer: answerTo("a") });
    expect(await at.journal.dueCompensations("payment", NOW, 10)).toEqual({ items: [] });
    expect(await at.payloads()).toHaveLength(1);
  });

  test("an older attempt stays as it is while a newer one runs", async () => {
    await using at = await JournalFixture.open(kind);
    await at.run("a", { error: "timeout" });
    await at.accept("a");
    await expect(at.finish("a", { attempt: 1 })).rejects.toThrow('attempt 1 at order "a" is not open');
    await expect(at.finish("a", { attempt: 3 })).rejects.toThrow('attempt 3 at order "a" is not open');
    expect(await at.accept("a")).toEqual({ type: "running", orderId: "a", attempt: 2 });
    expect((await at.journal.find("a"))?.attempts[0]?.ended?.answer).toEqual(JSON.parse(answerTo("a", "timeout").json));
  });

  test("an attempt that was never accepted is the caller's fault and no one else's", async () => {
    await using at = await JournalFixture.open(kind);
    const [first, wrong, last] = await Promise.allSettled([at.accept("a"), at.finish("b"), at.accept("c")]);
    expect(first).toMatchObject({ value: { type: "accepted" } });
    expect(wrong).toMatchObject({ reason: { message: 'attempt 1 at order "b" is not open' } });
    expect(last).toMatchObject({ value: { type: "accepted" } });
    expect(at.journal.healthy).toBe(true);
    expect(await at.accept("c")).toMatchObject({ type: "running" });
    expect(await at.journal.find("b")).toBeUndefined();
  });

  test("what the database itself refuses is compensated alone, halfway through an operation too", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    await Promise.all([at.accept("a"), at.accept("b"), at.accept("c")]);
    const twice = [done("payment"), done("payment")];
    const [a, b, c] = await Promise.allSettled([
      at.finish("a"),
      at.finish("b", { error: "timeout", compensations: twice }),
      at.finish("c"),
    ]);
    expect(a.status).toBe("fulfilled");
    expect(b).toMatchObject({ reason: { message: expect.stringContaining("UNIQUE") } });
    expect(c.status).toBe("fulfilled");
    expect((await at.payloads()).map(({ data }) => data.order_id)).toEqual(["a", "c"]);
    expect(await at.accept("b")).toMatchObject({ type: "running" });
    await at.finish("b", { error: "timeout" });
    expect((await at.journal.find("b"))?.latest).toMatchObject({ ended: { answer: { status: "error" } }, compensations: [] });
  });

  describe("events", () => {
    test("none without a receiver", async () => {
      await using at = await JournalFixture.open(kind);
      await at.run("a");
      await at.run("b", { error: "timeout", compensations: [done("payment")] });
      expect(await at.payloads()).toEqual([]);
    });

    test("a placed order", async () => {
      await using at = await JournalFixture.open(kind, { events: true });
      await at.accept("a", 5);
      await at.finish("a");
      expect(await at.payloads()).toEqual([{ type: "order.placed", timestamp: ISO_NOW, data: { order_id: "a", amount: 5, attempt: 1 } }]);
    });

    test("a failed order; with everything compensated already it is compensated right after, else not yet", async () => {
      await using at = await JournalFixture.open(kind, { events: true });
      const data = { amount: 100, attempt: 1, error: "no_courier" };
      await at.run("nothing", { error: "no_courier" });
      await at.run("done", { error: "no_courier", compensations: [done("vendor"), done("payment")] });
      await at.run("pending", { error: "no_courier", compensations: [done("vendor"), pending("payment")] });
      expect(await at.payloads()).toEqual([
        { type: "order.failed", timestamp: ISO_NOW, data: { order_id: "nothing", ...data } },
        { type: "order.failed", timestamp: ISO_NOW, data: { order_id: "done", ...data } },
        { type: "order.compensated", timestamp: ISO_NOW, data: { order_id: "done", ...data } },
        { type: "order.failed", timestamp: ISO_NOW, data: { order_id: "pending", ...data } },
      ]);
    });
  });
});
