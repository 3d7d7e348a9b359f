import { describe, expect, test } from "vitest";
import { JournalFixture, NOW, undo } from "./journal-fixture.ts";

describe.each(["file", "memory"] as const)("undo tasks, journal in a %s", (kind) => {
  async function failed(orderId: string, undos = [undo("courier", true), undo("vendor", false, 2), undo("payment", false)]) {
    const at = await JournalFixture.open(kind, { events: true });
    await at.accept(orderId, 70);
    await at.finish(orderId, { error: "timeout", undos });
    return at;
  }

  test("those not done are found in the order of undoing, from any point on", async () => {
    await using at = await failed("a");
    await at.accept("b", 80);
    await at.finish("b", { error: "timeout", undos: [undo("payment", false)] });
    const all = await at.journal.pendingUndos(0, 10);
    expect(all).toEqual([
      { id: expect.any(Number), orderId: "a", attempt: 1, amount: 70, step: "vendor", tries: 2 },
      { id: expect.any(Number), orderId: "a", attempt: 1, amount: 70, step: "payment", tries: 0 },
      { id: expect.any(Number), orderId: "b", attempt: 1, amount: 80, step: "payment", tries: 0 },
    ]);
    const [first] = all;
    expect(await at.journal.pendingUndos(first?.id ?? 0, 1)).toEqual(all.slice(1, 2));
    expect(await at.journal.pendingUndos(all.at(-1)?.id ?? 0, 10)).toEqual([]);
  });

  test("a failed try is counted, a done task is taken out and stays done", async () => {
    await using at = await failed("a");
    const tried = { orderId: "a", attempt: 1, step: "vendor", nowMs: NOW } as const;
    await at.journal.undoTried({ ...tried, done: false });
    expect(await at.journal.pendingUndos(0, 10)).toMatchObject([{ step: "vendor", tries: 3 }, { step: "payment" }]);
    await at.journal.undoTried({ ...tried, done: true });
    await at.journal.undoTried({ ...tried, done: false });
    expect(await at.journal.pendingUndos(0, 10)).toMatchObject([{ step: "payment" }]);
    expect((await at.journal.find("a"))?.attempts[0]?.undos).toEqual([
      undo("courier", true),
      undo("vendor", true, 4),
      undo("payment", false),
    ]);
  });

  test("the last one done makes the order compensated, once", async () => {
    await using at = await failed("a");
    const done = (step: "vendor" | "payment") => at.journal.undoTried({ orderId: "a", attempt: 1, step, done: true, nowMs: NOW + 5 });
    await done("payment");
    expect((await at.events()).map(({ type }) => type)).toEqual(["order.failed"]);
    await Promise.all([done("vendor"), done("vendor"), done("payment")]);
    expect(await at.events()).toMatchObject([
      { type: "order.failed" },
      {
        type: "order.compensated",
        timestamp: new Date(NOW + 5).toISOString(),
        data: { order_id: "a", amount: 70, attempt: 1, error: "timeout" },
      },
    ]);
  });

  test("a try for an attempt that is not known is the caller's fault; for a step without a task it is nothing", async () => {
    await using at = await failed("a", [undo("payment", false)]);
    const tried = { orderId: "a", attempt: 1, step: "vendor", done: true, nowMs: NOW } as const;
    await expect(at.journal.undoTried({ ...tried, attempt: 2 })).rejects.toThrow('attempt 2 at order "a" has not ended');
    await at.journal.undoTried(tried);
    expect(await at.journal.pendingUndos(0, 10)).toMatchObject([{ step: "payment", tries: 0 }]);
  });
});
