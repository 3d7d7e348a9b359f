import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import type { Journal } from "../../src/journal/journal.ts";
import { attemptAfter, attemptsUpTo } from "../../src/journal/rules/restores.ts";
import { MIGRATIONS } from "../../workers/journal/migrations.ts";
import { addRestore, restoresOf } from "../../workers/journal/tables/restores.ts";
import { answerTo, dueAt, FAR, JournalFixture, NOW } from "../journal/journal-fixture.ts";
import { backUp, restoreFrom } from "./open-work.ts";

const ATTEMPTS = 3;
const BEFORE = 1_500;

/** Everything that has an id in a journal. */
interface Given {
  readonly compensations: readonly number[];
  readonly events: readonly number[];
  readonly attempts: readonly number[];
  readonly actions: readonly number[];
  /** The numbers of the attempts at the order `again`. */
  readonly numbers: readonly number[];
}

/** Gives ids of every kind: orders that fail, a dead letter that is redelivered, an act of an operator. */
async function giveIds(journal: Journal, file: string): Promise<Given> {
  for (let n = 0; n < ATTEMPTS; n++) {
    const accepted = await journal.accept({ orderId: "again", amount: 1, nowMs: NOW });
    if (accepted.type !== "accepted") throw new Error(accepted.type);
    const { attempt } = accepted;
    const answer = answerTo("again", "timeout");
    const compensations = [{ step: "payment", trying: true } as const];
    const ids = await journal.finish({ orderId: "again", attempt, answer, answered: false, compensations, nowMs: NOW });
    const tried = ids.map((id) => ({ id, step: "payment" as const }));
    await journal.answer({ orderId: "again", attempt, json: answer.json, answered: true, tried, nowMs: NOW });
  }
  const { items } = await journal.takeEvents(dueAt(FAR));
  for (const { seq } of items) {
    await journal.giveUpEvent(seq, "no", NOW);
    await journal.redeliver(seq, NOW, "an operator");
  }
  await journal.noteAction({ atMs: NOW, actor: "an operator", action: "resume" });
  const db = new DatabaseSync(file, { readOnly: true });
  const column = (sql: string) =>
    db
      .prepare(sql)
      .all()
      .map((row) => Number(Object.values(row)[0]));
  const given = {
    compensations: column("SELECT id FROM compensations ORDER BY id"),
    events: column("SELECT seq FROM outbox UNION SELECT seq FROM dead_letters ORDER BY 1"),
    attempts: column("SELECT id FROM attempts ORDER BY id"),
    actions: column("SELECT id FROM operator_actions ORDER BY id"),
    numbers: column("SELECT attempt FROM attempts WHERE order_id = 'again' ORDER BY id"),
  };
  db.close();
  return given;
}

/** Expects that what was given after a restore was never given before, and is in order. */
function expectFresh(before: Given, given: Given, others: readonly Given[]): void {
  for (const kind of Object.keys(given) as (keyof Given)[]) {
    const fresh = given[kind].filter((id) => !before[kind].includes(id));
    expect([kind, fresh.length > 0]).toEqual([kind, true]);
    const elsewhere = new Set(others.flatMap((other) => other[kind]).filter((id) => !before[kind].includes(id)));
    expect([kind, fresh.filter((id) => elsewhere.has(id))]).toEqual([kind, []]);
    expect(Math.min(...fresh)).toBeGreaterThan(Math.max(0, ...before[kind]));
    expect(given[kind].every(Number.isSafeInteger)).toBe(true);
  }
}

describe("no id of a row and no number of an attempt is given a second time", () => {
  test("by a journal whose backup is restored twice, by that of a restored one, and by the one that was replaced", async () => {
    await using at = await JournalFixture.open("file", { events: true });
    const old = await giveIds(at.journal, at.file);
    const backup = await backUp(at);
    const replaced = await giveIds(at.journal, at.file);
    await using first = await restoreFrom(backup, at.directory);
    const ofFirst = await giveIds(first.journal, first.file);
    const second = await backUp(first);
    const later = await giveIds(first.journal, first.file);
    await using twice = await restoreFrom(backup, at.directory);
    const ofTwice = await giveIds(twice.journal, twice.file);
    await using restoredAgain = await restoreFrom(second, at.directory);
    const ofAgain = await giveIds(restoredAgain.journal, restoredAgain.file);

    expectFresh(old, ofFirst, [replaced]);
    expectFresh(old, ofTwice, [replaced, later]);
    expectFresh(ofFirst, ofAgain, [replaced, later, ofTwice]);
    // However they are numbered, the attempts are counted as they were made.
    const totals = [at, first, twice, restoredAgain].map(async ({ journal }) => (await journal.find("again"))?.attemptsTotal);
    expect(await Promise.all(totals)).toEqual([2 * ATTEMPTS, 3 * ATTEMPTS, 2 * ATTEMPTS, 3 * ATTEMPTS]);
    expect((await restoredAgain.journal.find("again"))?.attempts).toHaveLength(3 * ATTEMPTS);
  });

  test.each([
    ["never right", 0],
    ["set back since", Date.UTC(2020, 0, 1)],
    ["far ahead", Date.UTC(9999, 0, 1)],
    ["right", Date.UTC(2026, 10, 21)],
  ])("though the clock is %s", (_, nowMs) => {
    const db = new DatabaseSync(":memory:");
    for (const migration of MIGRATIONS) db.exec(migration);
    db.exec(`INSERT INTO operator_actions (id, at_ms, actor, action) VALUES (${2 ** 42}, 0, '', 'resume')`);
    let last = attemptAfter(restoresOf(db).firstIds, 41);
    let highest = 2 ** 42;
    expect(last).toBe(42);
    for (let restore = 1; restore <= 100; restore++) {
      addRestore(db, nowMs);
      const { firstIds } = restoresOf(db);
      const [firstId = 0] = firstIds;
      // What the replaced journal can have given: it was never so many.
      const longAfter = 2 ** 39;
      expect(firstId).toBeGreaterThan(highest + longAfter);
      expect(attemptAfter(firstIds, 0)).toBeGreaterThan(last + longAfter);
      expect(attemptsUpTo(firstIds, attemptAfter(firstIds, last))).toBe(42 + restore);
      last = attemptAfter(firstIds, last);
      highest = firstId;
      for (const table of ["compensations", "outbox", "operator_actions"]) {
        expect(db.prepare("SELECT seq FROM sqlite_sequence WHERE name = ?").all(table)).toEqual([{ seq: highest - 1 }]);
      }
    }
    expect(highest).toBeLessThan(Number.MAX_SAFE_INTEGER / 2);
    db.close();
  });

  test("by two restores of one backup, though its journal is ahead of the clock", () => {
    const restoredAgain = () => {
      const db = new DatabaseSync(":memory:");
      for (const migration of MIGRATIONS) db.exec(migration);
      // An earlier restore, a moment ago.
      db.exec(`INSERT INTO restores (restored_ms, first_id) VALUES (${NOW}, ${2 ** 45})`);
      addRestore(db, NOW);
      const { firstIds } = restoresOf(db);
      db.close();
      return firstIds;
    };
    const [one, other] = [restoredAgain(), restoredAgain()];
    expect(Math.min(one[0] ?? 0, other[0] ?? 0)).toBeGreaterThan(2 ** 45 + 2 ** 39);
    expect(one[0]).not.toBe(other[0]);
    expect(attemptAfter(one, 1)).not.toBe(attemptAfter(other, 1));
  });

  test("after thousands of restores", async () => {
    await using at = await JournalFixture.open("file");
    const db = new DatabaseSync(at.file);
    // As eight thousand restores with a wrong clock have left it.
    db.exec(`INSERT INTO restores (restored_ms, first_id) VALUES (0, ${8_000 * 2 ** 40})`);
    db.close();
    await using restored = await restoreFrom(await backUp(at), at.directory);
    const { compensations, numbers } = await giveIds(restored.journal, restored.file);
    expect([...compensations, ...numbers].every((id) => Number.isSafeInteger(id) && id > 8_000 * 2 ** 40)).toBe(true);
    const id = compensations[0] as number;
    expect(restored.journal.rowIdOf(String(id))).toBe(id);
    expect(await restored.journal.compensation(id)).toMatchObject({ id, orderId: "again" });
  });
});

test("an id that is no exact integer is none", async () => {
  await using at = await JournalFixture.open("memory");
  const texts = ["9007199254740991", "9007199254740992", "99999999999999999", "0", "-1", "1e3", "01", ""];
  expect(texts.map((text) => at.journal.rowIdOf(text))).toEqual([Number.MAX_SAFE_INTEGER, ...Array(7).fill(undefined)]);
});

test("the list of orders finds those from before a restore and those since, in any span of time", async () => {
  await using at = await JournalFixture.open("file");
  // Some more than a block of ids, each a second after the one before.
  const atMs = (n: number) => NOW + n * 1_000;
  const orders = Array.from({ length: BEFORE }, (_, n) => n);
  await Promise.all(orders.map((n) => at.accept(`o${n}`, 1, undefined, atMs(n))));
  await Promise.all(orders.map((n) => at.finish(`o${n}`, { nowMs: atMs(n) })));
  await using restored = await restoreFrom(await backUp(at), at.directory);
  const { journal } = restored;
  for (let n = BEFORE; n < BEFORE + 10; n++) {
    const orderId = `o${n}`;
    const accepted = await journal.accept({ orderId, amount: 1, nowMs: atMs(n) });
    const { attempt } = accepted as { attempt: number };
    await journal.finish({ orderId, attempt, answer: answerTo(orderId), answered: true, compensations: [], nowMs: atMs(n) });
  }
  const listed = async (from: number, to: number) => {
    const filter = { sinceMs: atMs(from), untilMs: atMs(to) };
    const { items } = await journal.orders(filter, undefined, 500);
    return items.map(({ orderId }) => orderId);
  };
  const span = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => `o${to - 1 - n}`);
  for (const [from, to] of [
    [0, 20],
    [1_000, 1_050],
    [1_400, 1_450],
    [1_490, 1_510],
    [1_505, 1_510],
  ] as const) {
    expect(await listed(from, to)).toEqual(span(from, to));
  }
});
