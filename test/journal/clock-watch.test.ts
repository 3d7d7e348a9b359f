import { expect, test } from "vitest";
import { ClockWatch } from "../../src/journal/clock-watch.ts";
import { DAY_MS, done, JournalFixture, NOW, STORES } from "./journal-fixture.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const failed = { error: "timeout", compensations: [done("payment")] } as const;

/** A wall clock that a test sets, beside a monotonic one that it lets run. */
class Clocks {
  monotonicMs = 5_000;
  /** How far the wall clock is ahead. */
  aheadMs = 0;
  readonly watch = new ClockWatch(() => this.monotonicMs);

  get wallMs(): number {
    return NOW + this.monotonicMs + this.aheadMs;
  }

  /** Lets minutes pass and asks each minute. Returns the answers, without repetitions. */
  minutes(count: number): boolean[] {
    const answers: boolean[] = [];
    for (let minute = 0; minute < count; minute++) {
      this.monotonicMs += MINUTE_MS;
      const answer = this.watch.isRight(this.wallMs);
      if (answers.at(-1) !== answer) answers.push(answer);
    }
    return answers;
  }

  async ask(...endedMs: number[]): Promise<void> {
    const before = (ms: number) => endedMs.filter((one) => one < ms);
    await this.watch.ask({ lastEndBefore: async (ms) => (before(ms).length === 0 ? undefined : Math.max(...before(ms))) }, this.wallMs);
  }
}

test("a clock that nothing speaks for is believed after an hour of going right", () => {
  const clocks = new Clocks();
  expect(clocks.minutes(60)).toEqual([false]);
  expect(clocks.minutes(600)).toEqual([true]);
});

test.each([
  ["nothing at all", [], true],
  ["all of it of the last hour", [1, 59], true],
  ["something between one hour and two hours old", [3, 90, 5_000], true],
  ["nothing between one hour and two hours old", [3, 59, 121, 5_000], false],
  ["only what is old", [30 * 24 * 60], false],
  // By a clock that was set back.
  ["only what is to come", [-60, -5_000], true],
])("a journal has %s: %j minutes old, believed at once: %s", async (_what, minutesAgo, isBelieved) => {
  const clocks = new Clocks();
  await clocks.ask(...minutesAgo.map((minutes) => clocks.wallMs - minutes * MINUTE_MS));
  expect(clocks.minutes(59)).toEqual([isBelieved]);
  expect(clocks.minutes(60)).toEqual(isBelieved ? [true] : [false, true]);
});

test.each([30 * DAY_MS, HOUR_MS, MINUTE_MS, -MINUTE_MS, -30 * DAY_MS])("a jump of %i ms is not believed for an hour", async (jumpMs) => {
  const clocks = new Clocks();
  await clocks.ask();
  expect(clocks.minutes(10)).toEqual([true]);
  clocks.aheadMs = jumpMs;
  expect(clocks.minutes(60)).toEqual([false]);
  expect(clocks.minutes(600)).toEqual([true]);
});

test("one that is set right again is believed at once, another jump is not", async () => {
  const clocks = new Clocks();
  await clocks.ask();
  clocks.aheadMs = 30 * DAY_MS;
  expect(clocks.minutes(50)).toEqual([false]);
  clocks.aheadMs = 0;
  expect(clocks.minutes(5)).toEqual([true]);
  // The hour counts from the last jump.
  clocks.aheadMs = 30 * DAY_MS;
  expect(clocks.minutes(50)).toEqual([false]);
  clocks.aheadMs = 31 * DAY_MS;
  expect(clocks.minutes(50)).toEqual([false]);
  expect(clocks.minutes(30)).toEqual([false, true]);
});

test("NTP may slew it for days", async () => {
  const clocks = new Clocks();
  await clocks.ask();
  for (let hour = 0; hour < 200; hour++) {
    clocks.aheadMs += 5_000;
    expect(clocks.minutes(60)).toEqual([true]);
  }
});

test.each(STORES)("a journal in %s knows when something ended last before a time", async (kind) => {
  await using at = await JournalFixture.open(kind, { events: true });
  expect(await at.journal.lastEndBefore(NOW + DAY_MS)).toBeUndefined();
  await at.accept("runs", 1, undefined, NOW - 60);
  expect(await at.journal.lastEndBefore(NOW + DAY_MS)).toBeUndefined();
  await at.run("placed", { nowMs: NOW - 50 });
  expect(await at.journal.lastEndBefore(NOW - 50)).toBeUndefined();
  expect(await at.journal.lastEndBefore(NOW - 49)).toBe(NOW - 50);
  await at.run("failed", { ...failed, nowMs: NOW - 40 });
  expect(await at.journal.lastEndBefore(NOW)).toBe(NOW - 40);
  // Many that were placed since: their blocks say it.
  await Promise.all(Array.from({ length: 1_100 }, (_, n) => at.run(`o${n}`, { nowMs: NOW - 30 })));
  await Promise.all(Array.from({ length: 1_100 }, (_, n) => at.run(`p${n}`, { nowMs: NOW + 30 })));
  expect(await at.journal.lastEndBefore(NOW)).toBe(NOW - 30);
  expect(await at.journal.lastEndBefore(NOW - 30)).toBe(NOW - 40);
  expect(await at.journal.lastEndBefore(NOW + DAY_MS)).toBe(NOW + 30);
});

test.each(STORES)("a dead letter tells of its time, where its order is gone: in %s", async (kind) => {
  await using at = await JournalFixture.open(kind, { events: true });
  await at.run("a", { ...failed, nowMs: NOW });
  for (const { seq } of (await at.dueEvents(NOW)).items) await at.journal.giveUpEvent(seq, "gone", NOW + 9);
  await at.journal.retire(NOW + 1, [], 10);
  expect(await at.journal.find("a")).toBeUndefined();
  expect(await at.journal.lastEndBefore(NOW + 10)).toBe(NOW + 9);
});
