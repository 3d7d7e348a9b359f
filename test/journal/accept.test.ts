import { describe, expect, test } from "vitest";
import { answerTo, DAY_MS, JournalFixture, keyOf, NOW, STORES } from "./journal-fixture.ts";

describe.each(STORES)("accept, journal in %s", (kind) => {
  test("a new order is accepted as its first attempt", async () => {
    await using at = await JournalFixture.open(kind);
    expect(await at.accept("a")).toEqual({ type: "accepted", attempt: 1 });
    expect(await at.accept("b")).toEqual({ type: "accepted", attempt: 1 });
  });

  test("an order that runs: the same content joins it, other content is a conflict", async () => {
    await using at = await JournalFixture.open(kind);
    await at.accept("a", 100);
    expect(await at.accept("a", 100)).toEqual({ type: "running", orderId: "a", attempt: 1 });
    expect(await at.accept("a", 101)).toEqual({ type: "conflict" });
  });

  test("a placed order: the same content gets its answer, other content is a conflict", async () => {
    await using at = await JournalFixture.open(kind);
    await at.accept("a", 100);
    await at.finish("a");
    expect(await at.accept("a", 100)).toEqual({ type: "replayed", answer: answerTo("a") });
    expect(await at.accept("a", 101)).toEqual({ type: "conflict" });
  });

  test("a failed order frees its id, for other content too, and attempts are counted on", async () => {
    await using at = await JournalFixture.open(kind);
    await at.accept("a", 100);
    await at.finish("a", { error: "payment_declined" });
    expect(await at.accept("a", 250)).toEqual({ type: "accepted", attempt: 2 });
    await at.finish("a", { attempt: 2, error: "timeout" });
    expect(await at.accept("a", 100)).toEqual({ type: "accepted", attempt: 3 });
    await at.finish("a", { attempt: 3 });
    expect(await at.accept("a", 100)).toEqual({ type: "replayed", answer: answerTo("a") });
    expect(await at.accept("a", 250)).toEqual({ type: "conflict" });
  });

  test("the extremes of amounts and ids come back as they went in", async () => {
    await using at = await JournalFixture.open(kind);
    const orderId = "\u{1F355}'\"%_\\ ".padEnd(128, "ü");
    await at.accept(orderId, Number.MAX_SAFE_INTEGER);
    expect(await at.journal.find(orderId)).toMatchObject({ orderId, amount: Number.MAX_SAFE_INTEGER });
    expect(await at.accept(orderId, Number.MAX_SAFE_INTEGER)).toEqual({ type: "running", orderId, attempt: 1 });
    expect(await at.accept(orderId, Number.MAX_SAFE_INTEGER - 1)).toEqual({ type: "conflict" });
    expect(await at.accept(orderId.slice(2), 1)).toEqual({ type: "accepted", attempt: 1 });
  });

  describe("with a key", () => {
    test("the key gets the answer of its attempt: while it runs, placed, failed, and after a later attempt", async () => {
      await using at = await JournalFixture.open(kind);
      const key = keyOf("k");
      expect(await at.accept("a", 100, key)).toEqual({ type: "accepted", attempt: 1 });
      expect(await at.accept("a", 100, key)).toEqual({ type: "running", orderId: "a", attempt: 1 });
      await at.finish("a", { error: "no_courier" });
      expect(await at.accept("a", 100, key)).toEqual({ type: "replayed", answer: answerTo("a", "no_courier") });
      expect(await at.accept("a", 100)).toEqual({ type: "accepted", attempt: 2 });
      expect(await at.accept("a", 100, key)).toEqual({ type: "replayed", answer: answerTo("a", "no_courier") });
      await at.finish("a", { attempt: 2 });
      expect(await at.accept("a", 100, key)).toEqual({ type: "replayed", answer: answerTo("a", "no_courier") });
      expect(await at.accept("a", 100, keyOf("other"))).toEqual({ type: "replayed", answer: answerTo("a") });
    });

    test("another body is a mismatch, whether the first runs or has ended, and before anything about the order", async () => {
      await using at = await JournalFixture.open(kind);
      await at.accept("a", 100, keyOf("k", "first"));
      expect(await at.accept("a", 100, keyOf("k", "second"))).toEqual({ type: "mismatch" });
      expect(await at.accept("b", 100, keyOf("k", "second"))).toEqual({ type: "mismatch" });
      await at.finish("a");
      expect(await at.accept("a", 100, keyOf("k", "second"))).toEqual({ type: "mismatch" });
      expect(await at.journal.find("b")).toBeUndefined();
    });

    test("a key that joins a running attempt, or is sent for a placed order, belongs to that attempt", async () => {
      await using at = await JournalFixture.open(kind);
      await at.accept("a", 100);
      expect(await at.accept("a", 100, keyOf("joined"))).toEqual({ type: "running", orderId: "a", attempt: 1 });
      await at.finish("a", { error: "timeout" });
      expect(await at.accept("a", 100, keyOf("joined"))).toEqual({ type: "replayed", answer: answerTo("a", "timeout") });

      await at.accept("b", 100);
      await at.finish("b");
      expect(await at.accept("b", 100, keyOf("late"))).toEqual({ type: "replayed", answer: answerTo("b") });
      expect(await at.accept("b", 100, keyOf("late", "other"))).toEqual({ type: "mismatch" });
    });

    test("a refused request leaves its key unused", async () => {
      await using at = await JournalFixture.open(kind);
      await at.accept("a", 100);
      expect(await at.accept("a", 101, keyOf("k", "refused"))).toEqual({ type: "conflict" });
      expect(await at.accept("c", 1, keyOf("k", "another"))).toEqual({ type: "accepted", attempt: 1 });
    });

    test.each([1, 2])("an attempt that was canceled from outside holds no key, for whatever body comes next (%i)", async (which) => {
      await using at = await JournalFixture.open(kind);
      await at.accept("a", 100, keyOf("k", "body 1"));
      expect(await at.accept("a", 100, keyOf("k", "body 2"))).toEqual({ type: "mismatch" });
      await at.finish("a", { error: "canceled" });
      const again = keyOf("k", `body ${which}`);
      expect(await at.accept("a", 100, again)).toEqual({ type: "accepted", attempt: 2 });
      expect(await at.accept("a", 100, again)).toEqual({ type: "running", orderId: "a", attempt: 2 });
      await at.finish("a", { attempt: 2, error: "timeout" });
      expect(await at.accept("a", 100, again)).toEqual({ type: "replayed", answer: answerTo("a", "timeout") });
      expect(await at.accept("a", 100, keyOf("k", "body 3"))).toEqual({ type: "mismatch" });
    });

    test("a key of a canceled attempt finds the order as it is by now: placed under another key, or running", async () => {
      await using at = await JournalFixture.open(kind);
      await at.accept("a", 100, keyOf("k"));
      await at.finish("a", { error: "canceled" });
      await at.accept("a", 100, keyOf("other"));
      expect(await at.accept("a", 100, keyOf("k"))).toEqual({ type: "running", orderId: "a", attempt: 2 });
      await at.finish("a", { attempt: 2 });
      expect(await at.accept("a", 100, keyOf("k"))).toEqual({ type: "replayed", answer: answerTo("a") });
      // The key is that attempt's from then on.
      expect(await at.accept("a", 100, keyOf("k", "changed"))).toEqual({ type: "mismatch" });
    });

    test("belongs to its client", async () => {
      await using at = await JournalFixture.open(kind);
      await at.accept("a", 100, keyOf("k", "x", undefined, "alice"));
      expect(await at.accept("b", 100, keyOf("k", "y", undefined, "bob"))).toEqual({ type: "accepted", attempt: 1 });
      expect(await at.accept("b", 100, keyOf("k", "y", undefined, "alice"))).toEqual({ type: "mismatch" });
    });

    test("once it has expired and is deleted it is as if it had never been used, and not before, whatever the time is", async () => {
      await using at = await JournalFixture.open(kind);
      await at.accept("a", 100, keyOf("k", "first", NOW + 10));
      expect(await at.journal.expireKeys(NOW + 9, 100)).toBe(0);
      expect(await at.accept("b", 100, keyOf("k", "second", NOW + 20), NOW + 9)).toEqual({ type: "mismatch" });
      expect(await at.accept("b", 100, keyOf("k", "second", NOW + 20), NOW + 30 * DAY_MS)).toEqual({ type: "mismatch" });
      expect(await at.journal.expireKeys(NOW + 10, 100)).toBe(1);
      expect(await at.accept("b", 100, keyOf("k", "second", NOW + 20), NOW + 10)).toEqual({ type: "accepted", attempt: 1 });
      expect(await at.accept("a", 100, keyOf("k", "first", NOW + 30), NOW + 11)).toEqual({ type: "mismatch" });
    });
  });

  test("expired keys go in batches, others stay", async () => {
    await using at = await JournalFixture.open(kind);
    await Promise.all(Array.from({ length: 25 }, (_, n) => at.accept(`o${n}`, 1, keyOf(`k${n}`, "body", NOW + n))));
    expect(await at.journal.expireKeys(NOW - 1, 10)).toBe(0);
    expect(await at.journal.expireKeys(NOW + 19, 15)).toBe(15);
    expect(await at.journal.expireKeys(NOW + 19, 15)).toBe(5);
    expect(await at.journal.expireKeys(NOW + 19, 15)).toBe(0);
    expect(await at.accept("o20", 1, keyOf("k20", "other"))).toEqual({ type: "mismatch" });
    expect(await at.accept("o19", 1, keyOf("k19", "other"))).toEqual({ type: "running", orderId: "o19", attempt: 1 });
  });
});
