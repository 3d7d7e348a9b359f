import { rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { Journal } from "../../src/journal/journal.ts";
import { STEPS } from "../../src/orders/steps.ts";
import { answerTo, JournalFixture, keyOf, NOW, pending } from "../journal/journal-fixture.ts";
import { addOpenWork, backUp, deliverAll, expectNothingGoesOn, heldIn, restoreFrom, takeAll } from "./open-work.ts";

const OPERATOR = "an operator";
const HELD = [
  "failed courier",
  "failed payment",
  "running courier",
  "running payment",
  "running vendor",
  "unanswered payment",
  "unanswered vendor",
];

test("whatever a backup had open is held when it is made a journal, and nothing of it goes on", async () => {
  await using at = await JournalFixture.open("file", { events: true });
  await addOpenWork(at);
  await using restored = await restoreFrom(await backUp(at), at.directory);
  const { journal } = restored;
  expect(await heldIn(journal)).toEqual(HELD);
  expect(await journal.restore()).toMatchObject({ orders: 3, compensations: HELD.length });
  expect(Date.now() - ((await journal.restore()).restoredMs ?? 0)).toBeLessThan(60_000);
  await expectNothingGoesOn(journal);

  const steps = STEPS.map((name) => ({ name, status: "error", duration_ms: 0, detail: "internal" }));
  const answer = { status: "error", order_id: "running", steps, error: { kind: "internal", message: "order failed" } };
  const compensations = STEPS.map((step) => ({ step, tries: 0, status: "held" }));
  const running = await journal.find("running");
  expect(running).toMatchObject({ attemptsTotal: 1, latest: { attempt: 1, ended: { answer, interrupted: true }, compensations } });
  // What had ended before stays as it was.
  expect((await journal.find("done"))?.latest.compensations.map(({ status }) => status)).toEqual(["done", "done"]);
  expect((await journal.find("failed"))?.latest.compensations).toEqual([
    { step: "vendor", tries: 1, status: "done" },
    { step: "payment", tries: 1, status: "held" },
    { step: "courier", tries: 0, status: "held" },
  ]);
  // The journal that the backup was made of goes on.
  expect((await at.take("courier")).map(({ orderId }) => orderId)).toEqual(["failed"]);
});

test("an order of which something is held is refused, with any content and key; a key that an answer was received with gets that answer", async () => {
  await using at = await JournalFixture.open("file", { events: true });
  await addOpenWork(at);
  await using restored = await restoreFrom(await backUp(at), at.directory);
  const accept = (orderId: string, amount = 100, key?: string, bodyHash?: string) =>
    restored.journal.accept({ orderId, amount, nowMs: NOW, ...(key !== undefined && { key: keyOf(key, bodyHash) }) });

  for (const orderId of ["running", "unanswered", "failed"]) {
    expect(await accept(orderId)).toEqual({ type: "held" });
    expect(await accept(orderId, 101)).toEqual({ type: "held" });
    expect(await accept(orderId, 100, "another key")).toEqual({ type: "held" });
  }
  // Nobody received their answers.
  for (const orderId of ["running", "unanswered"]) expect(await accept(orderId, 100, orderId)).toEqual({ type: "held" });
  expect(await accept("failed", 100, "failed")).toEqual({ type: "replayed", answer: answerTo("failed", "timeout") });
  expect(await accept("failed", 100, "failed", "another body")).toEqual({ type: "mismatch" });
  // A refusal has bound no key.
  expect(await accept("new", 100, "another key")).toMatchObject({ type: "accepted" });
  expect(await accept("placed")).toEqual({ type: "replayed", answer: answerTo("placed") });
  expect(await accept("done")).toMatchObject({ type: "accepted" });
});

test("an order that was placed after an attempt of which something is held is placed", async () => {
  await using at = await JournalFixture.open("file", { events: true });
  await at.run("twice", { error: "timeout", compensations: [pending("payment")] });
  await at.run("twice");
  await using restored = await restoreFrom(await backUp(at), at.directory);
  expect(await heldIn(restored.journal)).toEqual(["twice payment"]);
  expect(await restored.journal.accept({ orderId: "twice", amount: 100, nowMs: NOW })).toMatchObject({ type: "replayed" });
  expect(await restored.journal.accept({ orderId: "twice", amount: 101, nowMs: NOW })).toEqual({ type: "conflict" });
});

test("the word for one order lets that order go on and no other; of an attempt that ran it is told then that it failed", async () => {
  await using at = await JournalFixture.open("file", { events: true });
  await addOpenWork(at);
  await using restored = await restoreFrom(await backUp(at), at.directory);
  const { journal } = restored;
  expect(await journal.confirmRestore("running", NOW, 10, OPERATOR)).toEqual({ compensations: 3, isAll: true });
  expect(await journal.confirmRestore("running", NOW, 10, OPERATOR)).toEqual({ compensations: 0, isAll: true });
  expect(await journal.confirmRestore("no such order", NOW, 10, OPERATOR)).toEqual({ compensations: 0, isAll: true });
  expect(await heldIn(journal)).toEqual(HELD.filter((held) => !held.startsWith("running")));
  expect(await journal.restore()).toMatchObject({ orders: 2, compensations: HELD.length - 3 });
  expect(await journal.actionsOn("running")).toEqual([expect.objectContaining({ atMs: NOW, actor: OPERATOR, action: "confirm" })]);

  expect(await deliverAll(journal)).toEqual(["order.failed running"]);
  expect(await takeAll(journal, NOW)).toEqual(["running courier", "running payment", "running vendor"]);
  const accepted = await journal.accept({ orderId: "running", amount: 7, nowMs: NOW });
  expect(accepted).toMatchObject({ type: "accepted" });
  expect(await journal.accept({ orderId: "failed", amount: 100, nowMs: NOW })).toEqual({ type: "held" });
  const { items } = await journal.compensations("trying", undefined, 10);
  for (const { id, step } of items) await journal.compensationTried({ id, step }, NOW);
  expect(await deliverAll(journal)).toEqual(["order.compensated running"]);
  await expectNothingHappensToOthers(journal);
});

async function expectNothingHappensToOthers(journal: Journal): Promise<void> {
  expect(await takeAll(journal)).toEqual([]);
  expect(await heldIn(journal)).toEqual(HELD.filter((held) => !held.startsWith("running")));
}

test("the word for all lets a batch of attempts go on at a time, until nothing is held; the next start has nothing to do with it", async () => {
  await using at = await JournalFixture.open("file", { events: true });
  await addOpenWork(at);
  const backup = await backUp(at);
  const { journal, file } = await restoreFrom(backup, at.directory);
  const confirmed: number[] = [];
  for (;;) {
    const { compensations, isAll } = await journal.confirmRestore(undefined, NOW, 1, OPERATOR);
    confirmed.push(compensations);
    if (isAll) break;
  }
  // One attempt a batch, and a last look.
  expect(confirmed.toSorted()).toEqual([0, 2, 2, 3]);
  expect(await journal.restore()).toMatchObject({ orders: 0, compensations: 0 });
  expect(await heldIn(journal)).toEqual([]);
  // The others had told that they failed before the backup.
  expect(await deliverAll(journal)).toEqual(["order.failed running"]);
  await journal.close();

  const again = await Journal.open(file, { events: true });
  expect(await takeAll(again, NOW)).toEqual(HELD);
  expect((await again.restore()).restoredMs).toBeGreaterThan(0);
  expect(await heldIn(again)).toEqual([]);
  await again.close();
});

test("what is held can be settled by hand: the last of an attempt that had told that it failed tells that it is compensated, of one that ran nobody is told", async () => {
  await using at = await JournalFixture.open("file", { events: true });
  const ids = await addOpenWork(at);
  await using restored = await restoreFrom(await backUp(at), at.directory);
  const { journal } = restored;
  const { items } = await journal.heldAttempts(undefined, 10);
  const heldOf = (order: string) => items.find(({ orderId }) => orderId === order)?.compensations ?? [];
  expect(heldOf("failed").map(({ id }) => id)).toEqual(ids.failed.slice(1));
  for (const orderId of ["running", "failed"]) {
    for (const { id } of heldOf(orderId)) {
      expect(await journal.accept({ orderId, amount: 100, nowMs: NOW })).toEqual({ type: "held" });
      expect(await journal.settleCompensation(id, "paid back by hand", NOW, OPERATOR)).toMatchObject({ status: "settled" });
    }
  }
  expect(await deliverAll(journal)).toEqual(["order.compensated failed"]);
  expect(await heldIn(journal)).toEqual(["unanswered payment", "unanswered vendor"]);
  expect(await journal.confirmRestore(undefined, NOW, 10, OPERATOR)).toEqual({ compensations: 2, isAll: true });
  expect(await takeAll(journal)).toEqual(["unanswered payment", "unanswered vendor"]);
  expect(await deliverAll(journal)).toEqual([]);
  for (const orderId of ["running", "failed"]) {
    expect(await journal.accept({ orderId, amount: 100, nowMs: NOW })).toMatchObject({ type: "accepted" });
  }
});

test("a backup of a journal with something held has that held, too", async () => {
  await using at = await JournalFixture.open("file", { events: true });
  await addOpenWork(at);
  await using first = await restoreFrom(await backUp(at), at.directory);
  await first.journal.confirmRestore("failed", NOW, 10, OPERATOR);
  await first.journal.accept({ orderId: "later", amount: 100, nowMs: NOW });
  await using second = await restoreFrom(await backUp(first), at.directory);
  const later = STEPS.map((step) => `later ${step}`);
  expect(await heldIn(second.journal)).toEqual([...HELD, ...later].sort());
  await expectNothingGoesOn(second.journal);
  while (!(await second.journal.confirmRestore(undefined, NOW, 2, OPERATOR)).isAll);
  expect(await takeAll(second.journal)).toEqual([...HELD, ...later].sort());
  expect((await deliverAll(second.journal)).sort()).toEqual(["order.failed later", "order.failed running"]);
});

test("held attempts come in pages, each once", async () => {
  await using at = await JournalFixture.open("file");
  const orderIds = Array.from({ length: 7 }, (_, n) => `o${n}`);
  for (const orderId of orderIds) await at.run(orderId, { error: "timeout", compensations: [pending("payment"), pending("vendor")] });
  await at.run("o0", { error: "timeout", compensations: [pending("payment")] });
  await using restored = await restoreFrom(await backUp(at), at.directory);
  const seen: string[] = [];
  const pages: number[] = [];
  let cursor: Awaited<ReturnType<Journal["heldAttempts"]>>["next"];
  do {
    const { items, next } = await restored.journal.heldAttempts(cursor, 4);
    pages.push(items.length);
    seen.push(...items.map(({ orderId, attempt, compensations }) => `${orderId} ${attempt} ${compensations.length}`));
    cursor = next;
  } while (cursor !== undefined);
  expect(pages).toEqual([4, 4, 0]);
  expect(seen).toEqual([...orderIds.map((orderId) => `${orderId} 1 2`), "o0 2 1"]);
  // An order counts once, whatever of its attempts is held.
  expect(await restored.journal.restore()).toMatchObject({ orders: 7, compensations: 15 });
});

test("a journal that was never restored holds nothing", async () => {
  await using at = await JournalFixture.open("file", { events: true });
  await addOpenWork(at);
  await at.restart();
  expect(await at.journal.restore()).toEqual({ orders: 0, compensations: 0 });
  expect(await heldIn(at.journal)).toEqual([]);
  // One that stopped goes on.
  expect(await at.journal.closeInterrupted(10, NOW)).toBe(2);
  expect(await takeAll(at.journal, NOW)).toEqual(HELD);
});

test("a copy that another program made, marked by hand as a backup, is held as well", async () => {
  await using at = await JournalFixture.open("file");
  await addOpenWork(at);
  const copy = `${at.directory}/copied.db`;
  rmSync(copy, { force: true });
  const source = new DatabaseSync(at.file);
  source.exec(`VACUUM INTO '${copy}'`);
  source.close();
  // As docs/operating.md says it.
  const db = new DatabaseSync(copy);
  db.exec("PRAGMA application_id = 0x4f524442");
  db.close();
  await using restored = await restoreFrom(copy, at.directory);
  expect(await heldIn(restored.journal)).toEqual(HELD);
  await expectNothingGoesOn(restored.journal);
});
