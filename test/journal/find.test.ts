import { expect, test } from "vitest";
import { answerTo, JournalFixture, NOW, undo } from "./journal-fixture.ts";

test.each(["file", "memory"] as const)("an order is found with all its attempts, undos and times, journal in a %s", async (kind) => {
  await using at = await JournalFixture.open(kind);
  expect(await at.journal.find("a")).toBeUndefined();

  await at.accept("a", 100);
  const running = { attempt: 1, amount: 100, acceptedMs: NOW, undos: [] };
  expect(await at.journal.find("a")).toEqual({ orderId: "a", amount: 100, attempts: [running] });

  const undos = [undo("vendor", true, 3), undo("payment", false, 1)];
  await at.finish("a", { error: "no_courier", undos, nowMs: NOW + 7 });
  const answer = JSON.parse(answerTo("a", "no_courier").json);
  const failed = { ...running, ended: { atMs: NOW + 7, answer, interrupted: false }, undos };
  expect(await at.journal.find("a")).toEqual({ orderId: "a", amount: 100, attempts: [failed] });

  await at.accept("a", 200, undefined, NOW + 20);
  const again = { attempt: 2, amount: 200, acceptedMs: NOW + 20, undos: [] };
  expect(await at.journal.find("a")).toEqual({ orderId: "a", amount: 200, attempts: [failed, again] });

  await at.finish("a", { attempt: 2, nowMs: NOW + 30 });
  const placed = { ...again, ended: { atMs: NOW + 30, answer: JSON.parse(answerTo("a").json), interrupted: false } };
  expect(await at.journal.find("a")).toEqual({ orderId: "a", amount: 200, attempts: [failed, placed] });
});
