import { expect, test } from "vitest";
import { STEPS } from "../../src/orders/steps.ts";
import { done, JournalFixture, keyOf, NOW, pending } from "./journal-fixture.ts";

test("attempts that a crash left open are closed as failed, with every step to be compensated, a batch at a time", async () => {
  await using at = await JournalFixture.open("file", { events: true });
  await at.run("ended");
  await at.accept("a", 9, keyOf("k"));
  await at.accept("b");
  await at.accept("c");
  await at.restart();

  expect(await at.journal.closeInterrupted(2, NOW + 60)).toBe(2);
  expect(await at.journal.closeInterrupted(2, NOW + 60)).toBe(1);
  expect(await at.journal.closeInterrupted(2, NOW + 60)).toBe(0);

  const steps = STEPS.map((name) => ({ name, status: "error", duration_ms: 0, detail: "internal" }));
  const answer = { status: "error", order_id: "a", steps, error: { kind: "internal", message: "order failed" } };
  const compensations = STEPS.map((step) => ({ step, tries: 0, status: "pending" }));
  const closed = { attempt: 1, amount: 9, acceptedMs: NOW, ended: { atMs: NOW + 60, answer, interrupted: true }, compensations };
  expect(await at.journal.find("a")).toEqual({ orderId: "a", amount: 9, attemptsTotal: 1, latest: closed, attempts: [closed] });
  for (const step of STEPS) {
    expect(await at.journal.dueCompensations(step, NOW + 59, 100)).toEqual({ items: [], nextDueMs: NOW + 60 });
    const due = await at.journal.dueCompensations(step, NOW + 60, 100);
    expect(due.items.map(({ orderId }) => orderId).sort()).toEqual(["a", "b", "c"]);
  }
  const [placed, ...failed] = await at.payloads();
  expect(placed).toMatchObject({ type: "order.placed", data: { order_id: "ended" } });
  expect(failed.map(({ type, data }) => [type, data.order_id, data.error])).toEqual(
    ["a", "b", "c"].map((orderId) => ["order.failed", orderId, "internal"]),
  );
});

test.each(["the same body", "another body"])("nobody got its answer, so its key is free: with %s it is a new attempt", async (body) => {
  await using at = await JournalFixture.open("file");
  await at.accept("a", 9, keyOf("k", "the same body"));
  await at.restart();
  expect(await at.journal.closeInterrupted(10, NOW)).toBe(1);
  const key = keyOf("k", body);
  expect(await at.accept("a", 9, key)).toEqual({ type: "accepted", attempt: 2 });
  expect(await at.accept("a", 9, key)).toEqual({ type: "running", orderId: "a", attempt: 2 });
});

test("what was being compensated before the crash is still to be compensated after it, at its time", async () => {
  await using at = await JournalFixture.open("file");
  await at.run("a", { error: "timeout", compensations: [done("vendor"), pending("payment", NOW + 50, 1)] });
  await at.restart();
  expect(await at.journal.closeInterrupted(10, NOW)).toBe(0);
  expect(await at.journal.dueCompensations("payment", NOW, 10)).toEqual({ items: [], nextDueMs: NOW + 50 });
  expect(await at.journal.dueCompensations("payment", NOW + 50, 10)).toMatchObject({ items: [{ orderId: "a", tries: 1 }] });
});
