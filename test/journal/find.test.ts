import { describe, expect, test } from "vitest";
import { ATTEMPTS_SHOWN, JournalBusy } from "../../src/orders/order-journal.ts";
import { answerBefore, answerTo, done, JournalFixture, NOW, pending, postponed, STORES } from "./journal-fixture.ts";

describe.each(STORES)("find, journal in %s", (kind) => {
  test("an order is found with its attempts, compensations and times", async () => {
    await using at = await JournalFixture.open(kind);
    expect(await at.journal.find("a")).toBeUndefined();

    await at.accept("a", 100);
    const running = { attempt: 1, amount: 100, acceptedMs: NOW, compensations: [] };
    expect(await at.journal.find("a")).toEqual({ orderId: "a", amount: 100, attemptsTotal: 1, latest: running, attempts: [running] });

    await at.finish("a", { error: "no_courier", compensations: [done("vendor"), postponed("payment", NOW + 5)], nowMs: NOW + 7 });
    const answer = JSON.parse(answerTo("a", "no_courier").json);
    const compensations = [
      { step: "vendor", tries: 1, status: "done" },
      { step: "payment", tries: 1, status: "pending" },
    ];
    const failed = { ...running, ended: { atMs: NOW + 7, answer, interrupted: false }, compensations };
    expect(await at.journal.find("a")).toEqual({ orderId: "a", amount: 100, attemptsTotal: 1, latest: failed, attempts: [failed] });

    await at.accept("a", 200, undefined, NOW + 20);
    const again = { attempt: 2, amount: 200, acceptedMs: NOW + 20, compensations: [] };
    expect(await at.journal.find("a")).toEqual({ orderId: "a", amount: 200, attemptsTotal: 2, latest: again, attempts: [failed, again] });

    await at.finish("a", { attempt: 2, nowMs: NOW + 30 });
    const placed = { ...again, ended: { atMs: NOW + 30, answer: JSON.parse(answerTo("a").json), interrupted: false } };
    expect(await at.journal.find("a")).toEqual({ orderId: "a", amount: 200, attemptsTotal: 2, latest: placed, attempts: [failed, placed] });
  });

  test("an attempt that waits for its answer to be stored is shown as ended, once", async () => {
    await using at = await JournalFixture.open(kind);
    await at.run("a", { error: "timeout" });
    await at.accept("a", 100, undefined, NOW + 1);
    const ending = { attempt: 2, error: "no_courier", compensations: [done("vendor"), pending("payment")], nowMs: NOW + 2 } as const;
    const ids = await at.fail("a", ending);
    const compensations = [
      { step: "vendor", tries: 0, status: "trying" },
      { step: "payment", tries: 0, status: "pending" },
    ];
    const before = { atMs: NOW + 2, answer: JSON.parse(answerBefore("a", "no_courier").json), interrupted: false };
    const latest = { attempt: 2, amount: 100, acceptedMs: NOW + 1, ended: before, compensations };
    const found = await at.journal.find("a");
    expect(found).toMatchObject({ attemptsTotal: 2, latest, attempts: [{ attempt: 1 }, latest] });
    expect(found?.attempts).toHaveLength(2);
    expect((await at.journal.find("a", 2))?.attempts.map(({ attempt }) => attempt)).toEqual([1]);
    await at.answer("a", ids, ending);
    const after = { ...before, answer: JSON.parse(answerTo("a", "no_courier").json) };
    expect((await at.journal.find("a"))?.attempts).toMatchObject([{ attempt: 1 }, { attempt: 2, ended: after }]);
  });

  test("of many attempts the newest are shown, those before one of them on demand, and the latest always", async () => {
    await using at = await JournalFixture.open(kind);
    for (let n = 1; n <= 45; n++) await at.run("a", { error: "timeout", compensations: [done("payment")] });
    const numbers = async (before?: number) => {
      const found = await at.journal.find("a", before);
      expect(found).toMatchObject({ attemptsTotal: found?.latest.attempt });
      return [found?.latest.attempt, found?.attempts.map(({ attempt }) => attempt)];
    };
    const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
    expect(range(26, 45)).toHaveLength(ATTEMPTS_SHOWN);
    expect(await numbers()).toEqual([45, range(26, 45)]);
    expect(await numbers(26)).toEqual([45, range(6, 25)]);
    expect(await numbers(6)).toEqual([45, range(1, 5)]);
    expect(await numbers(1)).toEqual([45, []]);
    expect(await numbers(1_000)).toEqual([45, range(26, 45)]);
    // One that runs is one of them.
    await at.accept("a");
    expect(await numbers()).toEqual([46, range(27, 46)]);
    expect(await numbers(46)).toEqual([46, range(26, 45)]);
    expect(await numbers(47)).toEqual([46, range(27, 46)]);
  });
});

test("a look-up sees one moment, while the attempt that it finds running ends", async () => {
  await using at = await JournalFixture.open("file");
  for (let n = 1; n <= 60; n++) {
    await at.accept("a");
    let ended = false;
    const finished = at.finish("a", { attempt: n, error: "timeout", compensations: [done("payment")] }).then(() => {
      ended = true;
    });
    while (!ended) {
      const looks = await Promise.all(Array.from({ length: 20 }, () => at.journal.find("a")));
      for (const look of looks) {
        const numbers = look?.attempts.map(({ attempt }) => attempt) ?? [];
        expect(numbers.at(-1)).toBe(n);
        expect(new Set(numbers).size).toBe(numbers.length);
        expect(look?.latest).toEqual(look?.attempts.at(-1));
      }
    }
    await finished;
  }
});

test("what a write has answered, the next read sees", async () => {
  await using at = await JournalFixture.open("file");
  await Promise.all(
    Array.from({ length: 200 }, async (_, n) => {
      await at.accept(`o${n}`);
      expect(await at.journal.find(`o${n}`)).toMatchObject({ latest: { attempt: 1 } });
      await at.finish(`o${n}`);
      expect(await at.journal.find(`o${n}`)).toMatchObject({ latest: { ended: { answer: { status: "ok" } } } });
    }),
  );
});

test("256 reads may wait, further ones are refused, and there is room again after them", async () => {
  await using at = await JournalFixture.open("file");
  await at.accept("a");
  const looks = await Promise.allSettled(Array.from({ length: 300 }, () => at.journal.find("a")));
  const refused = looks.filter(({ status }) => status === "rejected");
  expect(refused).toHaveLength(300 - 256);
  for (const look of refused) expect(look).toMatchObject({ reason: expect.any(JournalBusy) });
  // Not a word about the disk.
  expect(at.journal.healthy).toBe(true);
  expect(await at.journal.find("a")).toMatchObject({ orderId: "a" });
});
