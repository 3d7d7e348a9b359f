import { describe, expect, test } from "vitest";
import type { JournalSettings } from "../../src/journal/protocol.ts";
import { ATTEMPTS_SHOWN, JournalBusy } from "../../src/orders/order-journal.ts";
import { Queries } from "../../workers/journal/queries.ts";
import { Writer } from "../../workers/journal/writer.ts";
import { done, JournalFixture, NOW, pending, STORES } from "./journal-fixture.ts";
import { temporaryFile } from "./temporary-file.ts";

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

test("however many look orders up, what is due is read, and a settled compensation is answered", async () => {
  await using at = await JournalFixture.open("file", { events: true });
  await at.run("a", { error: "timeout", compensations: [pending("vendor"), pending("payment")] });
  const lookUps = () => Promise.allSettled(Array.from({ length: 300 }, () => at.journal.find("a")));
  const looks = lookUps();
  const [compensations, events, backlog] = await Promise.all([at.take("payment"), at.dueEvents(NOW), at.journal.backlog()]);
  expect(compensations).toMatchObject([{ orderId: "a" }]);
  expect(events.items).toMatchObject([{ orderId: "a" }]);
  expect(backlog.compensations.payment.count).toBe(1);
  const moreLooks = lookUps();
  const settled = await at.journal.settleCompensation(1, "by hand", NOW, "me");
  expect(settled).toMatchObject({ orderId: "a", status: "settled", note: "by hand" });
  await moreLooks;
  const refused = (await looks).filter(({ status }) => status === "rejected");
  expect(refused).toHaveLength(300 - 256);
  for (const look of refused) expect(look).toMatchObject({ reason: expect.any(JournalBusy) });
});

test("a count of what waits that the closing cuts short is refused, without a fault", async () => {
  const settings: JournalSettings = { file: temporaryFile(), role: "writer", events: false };
  const writer = new Writer(settings);
  const queries = new Queries(writer.db);
  // More than is counted in one turn.
  writer.db.exec(`
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
    INSERT INTO dead_letters (seq, id, order_id, payload, created_ms, given_up_ms, reason) SELECT i, 'e' || i, 'a', '', 0, i, 'gone' FROM n`);
  expect(await queries.run(["backlog"])).toMatchObject({ answer: { deadLetters: 60_000 } });
  const cut = queries.run(["backlog"]);
  // Past the first slice, and no further: it goes on in the next turn.
  await Promise.resolve();
  queries.close();
  expect(await cut).toEqual({ unavailable: "the journal is closed" });
});

// What is counted is what overtakes a write, so a slow machine changes nothing.
