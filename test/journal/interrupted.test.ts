import { expect, test } from "vitest";
import { JournalFixture, keyOf, NOW, undo } from "./journal-fixture.ts";

const STEPS = ["payment", "vendor", "courier"];

test("attempts that a crash left open are closed as failed, with every step to be undone, a batch at a time", async () => {
  await using at = await JournalFixture.open("file", { events: true });
  await at.accept("ended");
  await at.finish("ended");
  await at.accept("a", 9, keyOf("k"));
  await at.accept("b");
  await at.accept("c");
  await at.restart();

  expect(await at.journal.closeInterrupted(2, NOW + 60)).toBe(2);
  expect(await at.journal.closeInterrupted(2, NOW + 60)).toBe(1);
  expect(await at.journal.closeInterrupted(2, NOW + 60)).toBe(0);

  const json =
    '{"status":"error","order_id":"a","steps":[{"name":"payment","status":"error","duration_ms":0,"detail":"internal"},' +
    '{"name":"vendor","status":"error","duration_ms":0,"detail":"internal"},' +
    '{"name":"courier","status":"error","duration_ms":0,"detail":"internal"}],"error":{"kind":"internal","message":"order failed"}}';
  expect(await at.accept("a", 9, keyOf("k"))).toEqual({ type: "replayed", answer: { error: "internal", json } });
  const undos = STEPS.toReversed().map((step) => undo(step as "payment", false));
  expect(await at.journal.find("a")).toEqual({
    orderId: "a",
    amount: 9,
    attempts: [{ attempt: 1, amount: 9, acceptedMs: NOW, ended: { atMs: NOW + 60, answer: JSON.parse(json), interrupted: true }, undos }],
  });
  expect(await at.journal.pendingUndos(0, 100)).toHaveLength(9);
  expect(await at.events()).toMatchObject([
    { type: "order.placed", data: { order_id: "ended" } },
    ...["a", "b", "c"].map((order_id) => ({ type: "order.failed", data: { order_id, error: "internal" } })),
  ]);
  expect(await at.accept("a", 9)).toEqual({ type: "accepted", attempt: 2 });
});
