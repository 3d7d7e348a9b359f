import { describe, expect, test } from "vitest";
import { answerBefore, answerTo, done, JournalFixture, keyOf, NOW, pending, postponed, STORES } from "./journal-fixture.ts";

const ISO_NOW = new Date(NOW).toISOString();

describe.each(STORES)("finish, journal in %s", (kind) => {
  test("closes the attempt; a second one is the caller's fault and changes nothing", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    await at.accept("a");
    expect(await at.finish("a")).toEqual([]);
    const again = at.finish("a", { error: "timeout", compensations: [pending("payment")] });
    await expect(again).rejects.toThrow('attempt 1 at order "a" is not open');
    expect(await at.accept("a")).toEqual({ type: "replayed", answer: answerTo("a") });
    expect(await at.take("payment")).toEqual([]);
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

  // Only a database refuses halfway: in memory the rules have looked before they write.
  test.runIf(kind === "file")("what the database itself refuses is refused alone, halfway through an operation too", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    await Promise.all([at.accept("a"), at.accept("b"), at.accept("c")]);
    const twice = { error: "timeout", compensations: [pending("payment"), pending("payment")] } as const;
    const [a, b, c] = await Promise.allSettled([at.finish("a"), at.fail("b", twice), at.finish("c")]);
    expect(a.status).toBe("fulfilled");
    expect(b).toMatchObject({ reason: { message: expect.stringContaining("UNIQUE") } });
    expect(c.status).toBe("fulfilled");
    expect((await at.payloads()).map(({ data }) => data.order_id)).toEqual(["a", "c"]);
    expect(await at.accept("b")).toMatchObject({ type: "running" });
    await at.finish("b", { error: "timeout" });
    expect((await at.journal.find("b"))?.latest).toMatchObject({ ended: { answer: { status: "error" } }, compensations: [] });
  });

  test("gives the ids of the compensations in their order; those that are tried at once are nobody else's", async () => {
    await using at = await JournalFixture.open(kind);
    await at.accept("a");
    const ids = await at.fail("a", {
      error: "timeout",
      compensations: [pending("vendor"), done("payment"), pending("courier")],
      nowMs: NOW + 3,
    });
    const found = await Promise.all(ids.map((id) => at.journal.compensation(id)));
    expect(found.map((row) => [row?.id, row?.step, row?.status, row?.nextTryMs])).toEqual([
      [ids[0], "vendor", "pending", NOW + 3],
      [ids[1], "payment", "trying", undefined],
      [ids[2], "courier", "pending", NOW + 3],
    ]);
    expect([...(await at.take("vendor", NOW + 3)), ...(await at.take("payment", NOW + 3))]).toMatchObject([{ id: ids[0], tries: 0 }]);
  });

  describe("with compensations, until its answer is stored", () => {
    const ENDING = { error: "no_courier", compensations: [done("vendor"), postponed("payment", NOW + 9, "HTTP 500")] } as const;

    test("the attempt runs for everybody else: the same content and key join it, others are refused as before", async () => {
      await using at = await JournalFixture.open(kind);
      await at.accept("a", 100, keyOf("k", "body"));
      await at.fail("a", ENDING);
      const running = { type: "running", orderId: "a", attempt: 1 };
      expect(await at.accept("a", 100)).toEqual(running);
      expect(await at.accept("a", 100, keyOf("k", "body"))).toEqual(running);
      expect(await at.accept("a", 100, keyOf("joined", "body"))).toEqual(running);
      expect(await at.accept("a", 101)).toEqual({ type: "conflict" });
      expect(await at.accept("a", 100, keyOf("k", "another body"))).toEqual({ type: "mismatch" });
      expect(await at.accept("b", 100, keyOf("k", "another body"))).toEqual({ type: "mismatch" });
      expect(await at.accept("a", 100, keyOf("joined", "another body"))).toEqual({ type: "mismatch" });
    });

    test("it has ended for those who look: once, with the states of its compensations", async () => {
      await using at = await JournalFixture.open(kind);
      await at.accept("a");
      await at.fail("a", ENDING);
      const found = await at.journal.find("a");
      expect(found?.attempts).toEqual([found?.latest]);
      expect(found).toMatchObject({
        attemptsTotal: 1,
        latest: {
          ended: { atMs: NOW, interrupted: false, answer: JSON.parse(answerBefore("a", "no_courier").json) },
          compensations: [
            { step: "vendor", status: "trying" },
            { step: "payment", status: "trying" },
          ],
        },
      });
      const listed = async (status?: "running" | "compensating" | "error") =>
        (await at.journal.orders(status === undefined ? {} : { status }, undefined, 10)).items.map((order) => [
          order.orderId,
          order.status,
        ]);
      expect(await listed()).toEqual([["a", "compensating"]]);
      expect(await listed("compensating")).toEqual([["a", "compensating"]]);
      expect(await listed("error")).toEqual([["a", "compensating"]]);
      expect(await listed("running")).toEqual([]);
    });

    test("the answer replaces the first one and closes the attempt, with what the first tries came to", async () => {
      await using at = await JournalFixture.open(kind, { events: true });
      await at.accept("a", 100, keyOf("k"));
      const ids = await at.fail("a", ENDING);
      expect((await at.payloads()).map(({ type }) => type)).toEqual(["order.failed"]);
      await at.answer("a", ids, { ...ENDING, nowMs: NOW + 5 });
      expect((await at.journal.find("a"))?.latest).toMatchObject({
        ended: { atMs: NOW, answer: JSON.parse(answerTo("a", "no_courier").json) },
        compensations: [
          { step: "vendor", tries: 1, status: "done" },
          { step: "payment", tries: 1, status: "pending" },
        ],
      });
      expect(await at.journal.compensation(ids[0] ?? 0)).toMatchObject({ endedMs: NOW + 5 });
      expect(await at.journal.compensation(ids[1] ?? 0)).toMatchObject({ nextTryMs: NOW + 9, lastAnswer: "HTTP 500" });
      expect(await at.accept("a", 100, keyOf("k"))).toEqual({ type: "replayed", answer: answerTo("a", "no_courier") });
      expect(await at.payloads()).toEqual([]);
      await expect(at.answer("a", ids, ENDING)).rejects.toThrow('attempt 1 at order "a" is not open');
      expect(await at.accept("a", 7)).toEqual({ type: "accepted", attempt: 2 });
      // An answer to the attempt before is not one to this.
      await expect(at.answer("a", ids, ENDING)).rejects.toThrow('attempt 1 at order "a" is not open');
      expect(await at.accept("a", 7)).toEqual({ type: "running", orderId: "a", attempt: 2 });
    });

    test("a try that is not among those of the answer goes on, and is told by itself", async () => {
      await using at = await JournalFixture.open(kind, { events: true });
      await at.accept("a");
      const [vendor = 0, payment = 0] = await at.fail("a", ENDING);
      await at.journal.answer({
        orderId: "a",
        attempt: 1,
        json: "{}",
        answered: true,
        tried: [{ id: vendor, step: "vendor" }],
        nowMs: NOW,
      });
      expect(await at.journal.compensation(payment)).toMatchObject({ status: "trying", tries: 0 });
      expect(await at.journal.compensationTried({ id: payment, step: "payment" }, NOW + 1)).toBe("done");
      expect((await at.payloads()).map(({ type }) => type)).toEqual(["order.failed", "order.compensated"]);
    });

    test("what its queue does meanwhile counts: the order may be compensated before it is answered", async () => {
      await using at = await JournalFixture.open(kind, { events: true });
      await at.accept("a");
      const ids = await at.fail("a", { error: "timeout", compensations: [pending("payment")] });
      await at.take("payment");
      await at.journal.compensationTried({ id: ids[0] ?? 0, step: "payment" }, NOW + 1);
      expect((await at.payloads()).map(({ type }) => type)).toEqual(["order.failed", "order.compensated"]);
      expect(await at.accept("a")).toEqual({ type: "running", orderId: "a", attempt: 1 });
      await at.answer("a", ids, { error: "timeout", compensations: [pending("payment")] });
      expect(await at.payloads()).toEqual([]);
      expect(await at.accept("a")).toEqual({ type: "accepted", attempt: 2 });
    });

    test("it is not retired, however old it is and though all of it is compensated", async () => {
      await using at = await JournalFixture.open(kind);
      const ending = { error: "timeout", compensations: [pending("payment")] } as const;
      await at.accept("a");
      const ids = await at.fail("a", ending);
      await at.take("payment");
      await at.journal.compensationTried({ id: ids[0] ?? 0, step: "payment" }, NOW);
      const retire = () => at.journal.retire(NOW + 1_000, [], 10);
      await retire();
      await at.answer("a", ids, ending);
      expect(await at.journal.find("a")).toMatchObject({ latest: { attempt: 1 } });
      await retire();
      expect(await at.journal.find("a")).toBeUndefined();
      expect(await at.accept("a")).toEqual({ type: "accepted", attempt: 2 });
    });

    test("an answer to an attempt that runs is the caller's fault", async () => {
      await using at = await JournalFixture.open(kind);
      await at.accept("a");
      await expect(at.answer("a", [], { error: "timeout" })).rejects.toThrow('attempt 1 at order "a" has not ended');
      expect(await at.accept("a")).toEqual({ type: "running", orderId: "a", attempt: 1 });
      expect((await at.journal.find("a"))?.latest).not.toHaveProperty("ended");
    });
  });

  test.each([
    ["one commit", []],
    ["two commits", [done("payment")]],
  ] as const)(
    "in %s: an answer that somebody received holds its key, and one that nobody received does not",
    async (_commits, compensations) => {
      await using at = await JournalFixture.open(kind);
      await at.accept("a", 100, keyOf("k"));
      await at.finish("a", { error: "timeout", compensations, answered: true });
      expect(await at.accept("a", 100, keyOf("k"))).toEqual({ type: "replayed", answer: answerTo("a", "timeout") });
      expect(await at.accept("a", 100, keyOf("k", "other"))).toEqual({ type: "mismatch" });
      await at.accept("b", 100, keyOf("l"));
      await at.finish("b", { error: "timeout", compensations, answered: false });
      expect(await at.accept("b", 100, keyOf("l", "other"))).toEqual({ type: "accepted", attempt: 2 });
    },
  );

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
