import { describe, expect, test } from "vitest";
import { ATTEMPTS_SHOWN } from "../../src/orders/order-journal.ts";
import { done, JournalFixture, STORES } from "./journal-fixture.ts";

describe.each(STORES)("find, journal in %s", (kind) => {
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
  for (let n = 1; n <= 25; n++) {
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
