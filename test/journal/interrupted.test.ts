import { describe, expect, test } from "vitest";
import { MemoryTables } from "../../src/journal/memory/memory-tables.ts";
import { closeInterrupted } from "../../src/journal/rules/close-interrupted.ts";
import { execute } from "../../src/journal/rules/execute.ts";
import { STEPS } from "../../src/orders/steps.ts";
import {
  answerBefore,
  answerTo,
  done,
  dueAt,
  JournalFixture,
  keyOf,
  NOW,
  pending,
  postponed,
  STORES,
  type StoreKind,
} from "./journal-fixture.ts";

/** A journal in a file is opened again. In memory there is nothing to open, and on PostgreSQL other nodes close what a dead one ran. */
async function restart(at: JournalFixture, kind: StoreKind): Promise<void> {
  if (kind === "file") await at.restart();
}

describe.each(STORES)("after a crash, journal in %s", (kind) => {
  test("attempts that a crash left open are closed as failed, with every step to be compensated, a batch at a time", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    await at.run("ended");
    await at.accept("a", 9, keyOf("k"));
    await at.accept("b");
    await at.accept("c");
    await restart(at, kind);
    const life = at.journal.cluster?.life;

    expect(await at.closeInterrupted(2, NOW + 60, life)).toBe(2);
    expect(await at.closeInterrupted(2, NOW + 60, life)).toBe(1);
    expect(await at.closeInterrupted(2, NOW + 60, life)).toBe(0);

    const steps = STEPS.map((name) => ({ name, status: "error", duration_ms: 0, detail: "internal" }));
    const answer = { status: "error", order_id: "a", steps, error: { kind: "internal", message: "order failed" } };
    const compensations = STEPS.map((step) => ({ step, tries: 0, status: "pending" }));
    const closed = { attempt: 1, amount: 9, acceptedMs: NOW, ended: { atMs: NOW + 60, answer, interrupted: true }, compensations };
    expect(await at.journal.find("a")).toEqual({ orderId: "a", amount: 9, attemptsTotal: 1, latest: closed, attempts: [closed] });
    for (const step of STEPS) {
      const due = await at.journal.takeCompensations(step, "first", dueAt(NOW + 60));
      expect(due.items.map(({ orderId }) => orderId).sort()).toEqual(["a", "b", "c"]);
    }
    const [placed, ...failed] = await at.payloads();
    expect(placed).toMatchObject({ type: "order.placed", data: { order_id: "ended" } });
    expect(failed.map(({ type, data }) => [type, data.order_id, data.error])).toEqual(
      ["a", "b", "c"].map((orderId) => ["order.failed", orderId, "internal"]),
    );
  });

  test.each(["the same body", "another body"])("nobody got its answer, so its key is free: with %s it is a new attempt", async (body) => {
    await using at = await JournalFixture.open(kind);
    await at.accept("a", 9, keyOf("k", "the same body"));
    await restart(at, kind);
    expect(await at.closeInterrupted(10, NOW)).toBe(1);
    const key = keyOf("k", body);
    expect(await at.accept("a", 9, key)).toEqual({ type: "accepted", attempt: 2 });
    expect(await at.accept("a", 9, key)).toEqual({ type: "running", orderId: "a", attempt: 2 });
  });

  test("what was put off before the crash is still to be compensated after it, at its time", async () => {
    await using at = await JournalFixture.open(kind);
    await at.run("a", { error: "timeout", compensations: [done("vendor"), postponed("payment", NOW + 50)] });
    await restart(at, kind);
    expect(await at.closeInterrupted(10, NOW)).toBe(0);
    expect(await at.journal.takeCompensations("payment", "again", dueAt(NOW))).toEqual({ items: [], nextDueMs: NOW + 50 });
    expect(await at.journal.takeCompensations("payment", "again", dueAt(NOW + 50))).toMatchObject({ items: [{ orderId: "a", tries: 1 }] });
  });

  test("what was being tried is due at once, with the tries it had; what is done, settled or waits stays as it is", async () => {
    await using at = await JournalFixture.open(kind);
    const compensations = [postponed("courier"), postponed("vendor"), postponed("payment", NOW + 9_000)];
    const [courier = 0, vendor = 0, payment = 0] = await at.run("a", { error: "timeout", compensations });
    const [over = 0, byHand = 0] = await at.run("b", {
      error: "timeout",
      compensations: [done("payment"), postponed("vendor", NOW + 9_000)],
    });
    await at.journal.settleCompensation(byHand, "by hand", NOW, "me");
    await Promise.all([at.take("courier"), at.take("vendor")]);
    await at.journal.compensationTried({ id: vendor, step: "vendor", nextTryMs: NOW + 8_000 }, NOW);
    await restart(at, kind);
    expect((await at.journal.compensation(courier))?.status).toBe("trying");
    expect(await at.closeInterrupted(10, NOW + 70)).toBe(0);
    const found = await Promise.all([courier, vendor, payment, over, byHand].map((id) => at.journal.compensation(id)));
    expect(found.map((row) => [row?.status, row?.tries, row?.nextTryMs])).toEqual([
      ["pending", 1, NOW + 70],
      ["pending", 2, NOW + 8_000],
      ["pending", 1, NOW + 9_000],
      ["done", 1, undefined],
      ["settled", 1, undefined],
    ]);
  });

  test.each(["the same body", "another body"])(
    "of one that had ended only the answer was missing: it stays as it ended, and its key is free, with %s",
    async (body) => {
      await using at = await JournalFixture.open(kind, { events: true });
      await at.accept("a", 100, keyOf("k", "the same body"));
      const ending = { error: "no_courier", compensations: [done("vendor"), pending("payment")] } as const;
      const ids = await at.fail("a", ending);
      await restart(at, kind);
      const other = { type: body === "the same body" ? "running" : "mismatch" };
      expect(await at.accept("a", 100, keyOf("k", body))).toMatchObject(other);
      expect(await at.closeInterrupted(10, NOW + 60)).toBe(1);
      expect(await at.closeInterrupted(10, NOW + 60)).toBe(0);

      const { latest, attempts } = (await at.journal.find("a")) ?? {};
      expect(attempts).toEqual([latest]);
      const answer = JSON.parse(answerBefore("a", "no_courier").json);
      expect(latest).toMatchObject({ attempt: 1, ended: { atMs: NOW, answer, interrupted: false } });
      expect(latest?.compensations).toEqual([
        { step: "vendor", tries: 0, status: "pending" },
        { step: "payment", tries: 0, status: "pending" },
      ]);
      expect((await at.payloads()).map(({ type }) => type)).toEqual(["order.failed"]);
      // The process that could have answered is gone.
      await expect(at.answer("a", ids, ending)).rejects.toThrow("is not open");
      expect(await at.accept("a", 100, keyOf("k", body))).toEqual({ type: "accepted", attempt: 2 });
    },
  );

  test("an answer that was stored before the crash is its key's after it, whatever is still being compensated", async () => {
    await using at = await JournalFixture.open(kind);
    await at.accept("a", 100, keyOf("k"));
    await at.finish("a", { error: "no_courier", compensations: [done("vendor"), pending("payment")] });
    await restart(at, kind);
    expect(await at.closeInterrupted(10, NOW + 60)).toBe(0);
    expect(await at.accept("a", 100, keyOf("k"))).toEqual({ type: "replayed", answer: answerTo("a", "no_courier") });
    expect(await at.accept("a", 100, keyOf("k", "another body"))).toEqual({ type: "mismatch" });
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
