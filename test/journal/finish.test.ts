import { describe, expect, test } from "vitest";
import { answerTo, JournalFixture, NOW, undo } from "./journal-fixture.ts";

const ISO_NOW = new Date(NOW).toISOString();

describe.each(["file", "memory"] as const)("finish, journal in a %s", (kind) => {
  test("gives back the answer; a second one for the attempt gives back the first and changes nothing", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    await at.accept("a");
    expect(await at.finish("a")).toEqual(answerTo("a"));
    expect(await at.finish("a", { error: "timeout", undos: [undo("payment", false)] })).toEqual(answerTo("a"));
    expect(await at.journal.pendingUndos(0, 10)).toEqual([]);
    expect(await at.events()).toHaveLength(1);
  });

  test("an older attempt keeps its answer while a newer one runs", async () => {
    await using at = await JournalFixture.open(kind);
    await at.accept("a");
    await at.finish("a", { error: "timeout" });
    await at.accept("a");
    expect(await at.finish("a", { attempt: 1 })).toEqual(answerTo("a", "timeout"));
    expect(await at.accept("a")).toEqual({ type: "running", orderId: "a", attempt: 2 });
  });

  test("an attempt that was never accepted is the caller's fault and no one else's", async () => {
    await using at = await JournalFixture.open(kind);
    const [first, wrong, last] = await Promise.allSettled([at.accept("a"), at.finish("b"), at.accept("c")]);
    expect(first).toMatchObject({ value: { type: "accepted" } });
    expect(wrong).toMatchObject({ reason: { message: 'attempt 1 at order "b" was never accepted' } });
    expect(last).toMatchObject({ value: { type: "accepted" } });
    expect(at.journal.healthy).toBe(true);
    expect(await at.accept("c")).toMatchObject({ type: "running" });
    expect(await at.journal.find("b")).toBeUndefined();
  });

  test("what the database itself refuses is undone alone, halfway through an operation too", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    await Promise.all([at.accept("a"), at.accept("b"), at.accept("c")]);
    const twice = [undo("payment", true), undo("payment", true)];
    const [a, b, c] = await Promise.allSettled([at.finish("a"), at.finish("b", { error: "timeout", undos: twice }), at.finish("c")]);
    expect(a.status).toBe("fulfilled");
    expect(b).toMatchObject({ reason: { message: expect.stringContaining("UNIQUE") } });
    expect(c.status).toBe("fulfilled");
    expect((await at.events()).map(({ data }) => data.order_id)).toEqual(["a", "c"]);
    expect(await at.accept("b")).toMatchObject({ type: "running" });
    expect(await at.finish("b", { error: "timeout" })).toEqual(answerTo("b", "timeout"));
  });

  describe("events", () => {
    test("none without a receiver", async () => {
      await using at = await JournalFixture.open(kind);
      await at.accept("a");
      await at.finish("a");
      expect(await at.events()).toEqual([]);
    });

    test("a placed order", async () => {
      await using at = await JournalFixture.open(kind, { events: true });
      await at.accept("a", 5);
      await at.finish("a");
      expect(await at.events()).toEqual([{ type: "order.placed", timestamp: ISO_NOW, data: { order_id: "a", amount: 5, attempt: 1 } }]);
    });

    test("a failed order; with everything undone already it is compensated right after, else not yet", async () => {
      await using at = await JournalFixture.open(kind, { events: true });
      const data = { amount: 100, attempt: 1, error: "no_courier" };
      const endings = {
        nothing: [],
        done: [undo("vendor", true), undo("payment", true)],
        pending: [undo("vendor", true), undo("payment", false)],
      };
      for (const [orderId, undos] of Object.entries(endings)) {
        await at.accept(orderId);
        await at.finish(orderId, { error: "no_courier", undos });
      }
      expect(await at.events()).toEqual([
        { type: "order.failed", timestamp: ISO_NOW, data: { order_id: "nothing", ...data } },
        { type: "order.failed", timestamp: ISO_NOW, data: { order_id: "done", ...data } },
        { type: "order.compensated", timestamp: ISO_NOW, data: { order_id: "done", ...data } },
        { type: "order.failed", timestamp: ISO_NOW, data: { order_id: "pending", ...data } },
      ]);
    });
  });
});
