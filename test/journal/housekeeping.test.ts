import { describe, expect, test } from "vitest";
import { ClockWatch } from "../../src/journal/clock-watch.ts";
import { housekeeping } from "../../src/journal/housekeeping.ts";
import { JournalUnavailable } from "../../src/orders/order-journal.ts";
import { eventually } from "../support/eventually.ts";
import { DAY_MS, done, JournalFixture, keyOf } from "./journal-fixture.ts";

const HOUR_MS = DAY_MS / 24;
const failed = { error: "timeout", compensations: [done("payment")] } as const;

/** An order that failed, and whose first event was given up then. */
async function giveUp(at: JournalFixture, orderId: string, atMs: number): Promise<void> {
  await at.run(orderId, { ...failed, nowMs: atMs });
  const event = (await at.dueEvents(atMs)).items.find((due) => due.orderId === orderId);
  await at.journal.giveUpEvent(event?.seq ?? 0, "gone", atMs);
}

describe("housekeeping", () => {
  test.each([2, undefined])("with RETENTION_DAYS=%s", async (retentionDays) => {
    await using at = await JournalFixture.open("file", { events: true });
    const nowMs = Date.now();
    const oldMs = nowMs - 3 * DAY_MS;
    await giveUp(at, "o0", oldMs);
    await giveUp(at, "young", nowMs - DAY_MS);
    await Promise.all(Array.from({ length: 899 }, (_, n) => at.run(`o${n + 1}`, { ...failed, nowMs: oldMs })));
    await at.run("placed", { nowMs: oldMs });
    await Promise.all(Array.from({ length: 450 }, (_, n) => at.accept("runs", 1, keyOf(`k${n}`, "body", nowMs - 1), oldMs)));
    await at.accept("runs", 1, keyOf("fresh", "body", nowMs + DAY_MS), oldMs);
    for (const atMs of [...Array(220).fill(oldMs), nowMs - DAY_MS]) await at.journal.noteAction({ atMs, actor: "x", action: "backup" });
    const faults: unknown[] = [];
    const keeping = housekeeping({
      journal: at.journal,
      everyMs: 1,
      isClockRight: () => true,
      onFault: (message, error) => faults.push(message, error),
      ...(retentionDays !== undefined && { retentionDays }),
    });
    const count = (table: string) => at.query(`SELECT count(*) AS n FROM ${table}`)[0]?.n;
    expect(count("dead_letters")).toBe(2);
    keeping.start();
    const isShort = () => count("attempts") === 2 && count("operator_actions") === 1;
    await eventually("a round", () => count("idempotency_keys") === 1 && (retentionDays === undefined || isShort()));
    await keeping.stop();
    expect(faults).toEqual([]);
    const letters = (await at.journal.deadLetters(undefined, 10)).items.map(({ orderId }) => orderId);
    expect(letters).toEqual(retentionDays === undefined ? ["o0", "young"] : ["young"]);
    expect(count("attempts")).toBe(retentionDays === undefined ? 902 : 2);
    expect(count("operator_actions")).toBe(retentionDays === undefined ? 221 : 1);
    expect(await at.journal.find("placed")).toBeDefined();
    expect(await at.journal.find("young")).toBeDefined();
  });

  test("deletes nothing while the clock is far from what it was, and goes on when it is right again, or has been so for an hour", async () => {
    await using at = await JournalFixture.open("file", { events: true });
    let monotonicMs = 1_000;
    let jumpMs = 0;
    let rounds = 0;
    const startMs = Date.now();
    const wallMs = () => startMs + monotonicMs + jumpMs;
    await giveUp(at, "young", startMs - 1.5 * HOUR_MS);
    await at.accept("runs", 1, keyOf("k", "body", startMs + 10 * HOUR_MS), startMs);
    const count = () =>
      ["attempts", "idempotency_keys", "dead_letters"].map((table) => at.query(`SELECT count(*) AS n FROM ${table}`)[0]?.n);
    const clock = new ClockWatch(() => monotonicMs);
    await clock.ask(at.journal, wallMs());
    const told: boolean[] = [];
    const keeping = housekeeping({
      journal: at.journal,
      retentionDays: 1,
      everyMs: 1,
      nowMs: () => {
        rounds++;
        return wallMs();
      },
      isClockRight: (nowMs) => clock.isRight(nowMs),
      onClock: (isRight) => told.push(isRight),
      onFault: (message) => expect.unreachable(message),
    });
    const rounded = async (more: number) => {
      const until = rounds + more;
      await eventually("some rounds", () => rounds >= until);
    };
    keeping.start();
    await rounded(3);
    jumpMs = 30 * DAY_MS;
    await rounded(5);
    // For 59 minutes.
    monotonicMs += 59 * 60_000;
    await rounded(5);
    expect(count()).toEqual([1, 1, 1]);
    expect(told).toEqual([false]);

    // Set right again: what is old by then goes, the rest stays.
    await at.run("old", { ...failed, nowMs: startMs - 2 * DAY_MS });
    expect(count()).toEqual([2, 1, 1]);
    jumpMs = 0;
    await eventually("the old one to be gone", () => count()[0] === 1);
    await rounded(5);
    expect(count()).toEqual([1, 1, 1]);
    expect(told).toEqual([false, true]);

    jumpMs = 30 * DAY_MS;
    await rounded(5);
    expect(count()).toEqual([1, 1, 1]);
    monotonicMs += HOUR_MS;
    await eventually("all to be gone", () => count().every((rows) => rows === 0));
    await keeping.stop();
    expect(told).toEqual([false, true, false, true]);
  });

  test("stops between two batches, and goes on after one that could not be written", async () => {
    let calls = 0;
    const seen: string[] = [];
    const stopping = Promise.withResolvers<Promise<void>>();
    const notAnyMore = () => Promise.reject(new Error("not any more"));
    const journal = {
      async expireKeys() {
        calls++;
        if (calls === 1) throw new JournalUnavailable("the disk is full");
        // In the middle of a round, of which this batch is not the last.
        if (calls === 3) stopping.resolve(keeping.stop());
        return 200;
      },
      retire: notAnyMore,
      expireDeadLetters: notAnyMore,
      expireActions: notAnyMore,
    };
    const keeping = housekeeping({
      journal,
      retentionDays: 1,
      everyMs: 1,
      isClockRight: () => true,
      onFault: (_message, error) => seen.push((error as Error).message),
    });
    keeping.start();
    await await stopping.promise;
    expect(calls).toBe(3);
    expect(seen).toEqual(["the disk is full"]);
  });
});
