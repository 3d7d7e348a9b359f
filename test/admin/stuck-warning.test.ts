import { expect, test, vi } from "vitest";
import { stuckWarning } from "../../src/admin/stuck-warning.ts";
import { Journal } from "../../src/journal/journal.ts";
import { JournalUnavailable } from "../../src/orders/order-journal.ts";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-client.ts";
import { startService } from "../support/service.ts";
import { attempt, eventsDue, fail } from "./fixture.ts";

const EVERY_MS = 5;
const MINUTES = 60_000;

test("one line a look says what has waited for more than five minutes, and none says that nothing has", async () => {
  const journal = await Journal.open("memory", { events: true });
  const startMs = Date.now();
  let nowMs = startMs;
  let looks = 0;
  const lines: { fields: object; message: string }[] = [];
  const faults: unknown[] = [];
  const warning = stuckWarning({
    journal: {
      async backlog() {
        looks++;
        // A journal that cannot be read has a log line of its own.
        if (looks % 3 === 0) throw new JournalUnavailable("the disk is full");
        return await journal.backlog();
      },
    },
    warn: (fields, message) => lines.push({ fields, message }),
    onFault: (_message, error) => faults.push(error),
    everyMs: EVERY_MS,
    nowMs: () => nowMs,
  });
  const looksMore = async () => {
    const before = looks;
    await eventually("some more looks", () => looks >= before + 4);
  };
  warning.start();
  try {
    await fail(journal, "first", ["payment"], startMs);
    await fail(journal, "second", ["payment", "courier"], startMs + MINUTES);
    nowMs = startMs + 5 * MINUTES;
    await looksMore();
    expect(lines).toEqual([]);

    nowMs = startMs + 5.5 * MINUTES;
    await eventually("a warning", () => lines.length > 0);
    expect(lines[0]).toEqual({
      message: "compensations or events have waited for more than 5 minutes",
      fields: {
        compensations: { payment: { pending: 2, oldest_seconds: 330 }, courier: { pending: 1, oldest_seconds: 270 } },
        events: { pending: 2, oldest_seconds: 330 },
        dead_letters: 0,
      },
    });

    // The compensations are settled, the events given up: what nobody waits for any more is no reason for a warning.
    const { items } = await journal.compensations("pending", undefined, 10);
    for (const { id } of items) await journal.settleCompensation(id, "by hand", nowMs, "test");
    const seqs = (await eventsDue(journal, nowMs + MINUTES)).map(({ seq }) => seq);
    for (const seq of seqs) await journal.giveUpEvent(seq, "HTTP 500", nowMs);
    await eventually("no more events than those of the settling", async () => (await journal.backlog()).events.count === 2);
    await looksMore();
    lines.length = 0;
    await looksMore();
    expect(lines).toEqual([]);

    // An event that is put back waits from then on, however old it is.
    nowMs += 60 * MINUTES;
    for (const { seq } of await eventsDue(journal, nowMs)) await journal.eventDelivered(seq, nowMs);
    const [seq = 0] = seqs;
    await journal.redeliver(seq, nowMs, "test");
    await looksMore();
    lines.length = 0;
    await looksMore();
    expect(lines).toEqual([]);
    nowMs += 5 * MINUTES + 1;
    await eventually("a warning about the event", () => lines.length > 0);
    expect(lines[0]?.fields).toEqual({ compensations: {}, events: { pending: 1, oldest_seconds: 300 }, dead_letters: 1 });
    expect(faults).toEqual([]);
  } finally {
    await warning.stop();
    await journal.close();
  }
});

test("stops with no check under way, and reports a bug", async () => {
  const faults: unknown[] = [];
  const warning = stuckWarning({
    journal: { backlog: () => Promise.reject(new TypeError("bug")) },
    warn: () => {},
    onFault: (message, error) => faults.push([message, String(error)]),
    everyMs: EVERY_MS,
  });
  warning.start();
  await eventually("a fault", () => faults.length > 0);
  await warning.stop();
  expect(faults[0]).toEqual(["what is stuck could not be counted", "TypeError: bug"]);
});

test("nothing is said where nothing waits", async () => {
  const journal = await Journal.open("memory", { events: true });
  await attempt(journal, "done at once", [{ step: "payment" }]);
  for (let events = 2; events > 0; events--) {
    for (const { seq } of await eventsDue(journal)) await journal.eventDelivered(seq, Date.now());
  }
  let looks = 0;
  const lines: object[] = [];
  const counted = { backlog: () => journal.backlog().finally(() => looks++) };
  const inAnHour = () => Date.now() + 60 * MINUTES;
  const warning = stuckWarning({
    journal: counted,
    warn: (fields) => lines.push(fields),
    onFault: () => {},
    everyMs: EVERY_MS,
    nowMs: inAnHour,
  });
  warning.start();
  await eventually("some looks", () => looks > 3);
  await warning.stop();
  await journal.close();
  expect(lines).toEqual([]);
});

test("once a minute a running service deletes what is older than RETENTION_DAYS and warns of what is stuck", async () => {
  const { setTimeout: real } = globalThis;
  // Only these pauses are that long, and they alone pass at once.
  const shortened = (work: () => void, ms?: number) => real(work, ms === MINUTES ? 1 : ms);
  const spy = vi.spyOn(globalThis, "setTimeout").mockImplementation(shortened as typeof setTimeout);
  try {
    await using server = await startService({ RETENTION_DAYS: "1" });
    const { journal } = server.service;
    await fail(journal, "old", [], Date.now() - 48 * 60 * MINUTES);
    await fail(journal, "stuck", ["payment"], Date.now() - 10 * MINUTES);
    const statusOf = async (order: string) => (await send(server.port, { path: `/order/${order}` })).status;
    await eventually("the old one to be gone", async () => (await statusOf("old")) === 404);
    const warning = /^compensations or events have waited for more than 5 minutes$/;
    const line = await eventually("a warning", () => server.logged.find(({ msg }) => warning.test(msg)));
    expect(line).toMatchObject({ level: 40, compensations: { payment: { pending: 1 } } });
    expect(await statusOf("stuck")).toBe(200);
  } finally {
    spy.mockRestore();
  }
});
