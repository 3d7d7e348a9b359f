import { describe, expect, test } from "vitest";
import type { OrderEvent } from "../../src/orders/order-event.ts";
import { DAY_MS, done, dueAt, FAR, JournalFixture, NOW, postponed } from "./journal-fixture.ts";

async function due(at: JournalFixture, nowMs = NOW): Promise<readonly OrderEvent[]> {
  return (await at.dueEvents(nowMs)).items;
}

async function dueOf(at: JournalFixture, orderId: string, nowMs = NOW): Promise<OrderEvent> {
  const event = (await due(at, nowMs)).find((candidate) => candidate.orderId === orderId);
  if (event === undefined) throw new Error(`no event of ${orderId} is due`);
  return event;
}

const named = (events: readonly OrderEvent[]) => events.map(({ orderId, payload }) => [orderId, JSON.parse(payload).type]);

describe.each(["file", "postgres"] as const)("outbox, journal in %s", (kind) => {
  test("each event has an id of its own that stays, its time, and a day to be delivered", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    for (const orderId of ["a", "b", "c"]) await at.run(orderId);
    const events = await due(at);
    expect(events.map(({ orderId, createdMs, expiresMs, tries }) => [orderId, createdMs, expiresMs, tries])).toEqual(
      ["a", "b", "c"].map((orderId) => [orderId, NOW, NOW + DAY_MS, 0]),
    );
    for (const { id } of events) expect(id).toMatch(/^evt_[0-9a-f-]{36}$/);
    expect(new Set(events.map(({ id }) => id)).size).toBe(3);
    expect(await at.dueEvents(NOW, 2)).toEqual({ items: events.slice(0, 2) });
    await at.restart();
    expect(await due(at)).toEqual(events);
  });

  test("an event under way is not given to anybody else, and is due again when it no longer is", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    for (const orderId of ["a", "b", "c"]) await at.run(orderId);
    const [a, , c] = await due(at);
    const underWay = [a?.seq ?? 0, c?.seq ?? 0];
    expect(named((await at.journal.takeEvents({ ...dueAt(NOW), underWay })).items)).toEqual([["b", "order.placed"]]);
    expect((await due(at)).map(({ orderId }) => orderId)).toEqual(["a", "b", "c"]);
  });

  test("for a probe the event that was tried least comes first", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    for (const orderId of ["a", "b", "c"]) await at.run(orderId);
    const { seq } = await dueOf(at, "a");
    await at.journal.eventFailed(seq, NOW - 1_000);
    await at.journal.eventFailed((await dueOf(at, "b")).seq, NOW - 900);
    await at.journal.eventFailed(seq, NOW - 1_000);
    const take = async (leastTried: boolean) => (await at.journal.takeEvents({ ...dueAt(NOW), leastTried })).items;
    expect((await take(false)).map(({ orderId }) => orderId)).toEqual(["a", "b", "c"]);
    expect((await take(true)).map(({ orderId, tries }) => [orderId, tries])).toEqual([
      ["c", 0],
      ["b", 1],
      ["a", 2],
    ]);
  });

  test("an event that a clock put far ahead, before it was set right, is due, and one within its longest pause is not", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    for (const orderId of ["a year ahead", "soon", "now"]) await at.run(orderId);
    await at.journal.eventFailed((await dueOf(at, "a year ahead")).seq, NOW + 365 * DAY_MS);
    await at.journal.eventFailed((await dueOf(at, "soon")).seq, NOW + DAY_MS / 24);
    expect((await due(at)).map(({ orderId }) => orderId)).toEqual(["a year ahead", "now"]);
  });

  test("of an order only the first event is due, the next from the moment on at which that is delivered", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    await at.run("a", { error: "timeout", compensations: [done("payment")] });
    await at.run("b");
    await at.run("a");
    expect(named(await due(at))).toEqual([
      ["a", "order.failed"],
      ["b", "order.placed"],
    ]);
    const first = await dueOf(at, "a");
    await at.journal.eventFailed(first.seq, NOW + 50);
    expect(named(await due(at, NOW + 49))).toEqual([["b", "order.placed"]]);
    expect(await at.dueEvents(NOW)).toMatchObject({ nextDueMs: NOW + 50 });
    expect(await dueOf(at, "a", NOW + 50)).toEqual({ ...first, tries: 1 });
    await at.restart();
    expect(await dueOf(at, "a", NOW + 50)).toEqual({ ...first, tries: 1 });
    await at.journal.eventDelivered(first.seq, NOW + 60);
    const datesOf = (orderId: string) => at.query(`SELECT next_try_ms AS ms FROM outbox WHERE order_id = '${orderId}' ORDER BY seq`);
    if (kind === "file") expect(datesOf("a")).toEqual([{ ms: NOW + 60 }, { ms: null }]);
    expect(JSON.parse((await dueOf(at, "a", NOW + 60)).payload).type).toBe("order.compensated");
    // Once more for what is gone: nobody's turn comes any sooner.
    await at.journal.eventDelivered(first.seq, NOW + 1);
    await at.journal.eventFailed(first.seq, NOW + 1);
    if (kind === "file") expect(datesOf("a")).toEqual([{ ms: NOW + 60 }, { ms: null }]);
    // On PostgreSQL an event has the time at which it was written, so it comes before those that were due while it waited.
    const both = [
      ["b", "order.placed"],
      ["a", "order.compensated"],
    ];
    expect(named(await due(at, NOW + 60))).toEqual(kind === "file" ? both : both.reverse());
    expect(named(await at.deliverAll())).toEqual([
      ["a", "order.compensated"],
      ["b", "order.placed"],
      ["a", "order.placed"],
    ]);
  });

  test("a try of one that waits for an earlier one of its order changes nothing", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    await at.run("a", { error: "timeout", compensations: [done("payment")] });
    const first = await dueOf(at, "a");
    await at.journal.eventFailed(first.seq + 1, NOW - 1);
    expect((await due(at)).map(({ seq }) => seq)).toEqual([first.seq]);
    await at.journal.eventDelivered(first.seq, NOW);
    expect(await due(at)).toMatchObject([{ seq: first.seq + 1, tries: 0 }]);
  });

  test("no later event takes the number of one that is gone", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    for (const orderId of ["a", "b", "c"]) await at.run(orderId);
    const last = Math.max(...(await at.deliverAll()).map(({ seq }) => seq));
    await at.restart();
    await at.run("d");
    expect((await dueOf(at, "d")).seq).toBeGreaterThan(last);
  });

  test("an event that is given up moves to the dead letters, once, and the next of its order is due", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    await at.run("a", { error: "timeout", compensations: [done("payment")] });
    const event = await dueOf(at, "a");
    await at.journal.giveUpEvent(event.seq, "503 for 24 h", NOW + 1);
    await at.journal.giveUpEvent(event.seq, "again", NOW + 2);
    expect(named(await due(at, NOW + 1))).toEqual([["a", "order.compensated"]]);
    const { id, orderId, payload, seq } = event;
    const letter = { seq, id, orderId, payload, createdMs: NOW, givenUpMs: NOW + 1, reason: "503 for 24 h" };
    expect(await at.journal.deadLetters(undefined, 10)).toEqual({ items: [letter] });
    expect(await at.journal.backlog()).toMatchObject({ deadLetters: 1, events: { count: 1 } });
  });

  test("a dead letter that is delivered again comes behind the events of its order, with a whole day before it", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    await at.run("a", { error: "timeout", compensations: [done("payment")] });
    const event = await dueOf(at, "a");
    await at.journal.eventFailed(event.seq, NOW + 1);
    await at.journal.giveUpEvent(event.seq, "503", NOW + 1);
    expect(await at.journal.redeliver(event.seq, NOW + 5)).toBe(true);
    expect(await at.journal.redeliver(event.seq, NOW + 5)).toBe(false);
    expect(await at.journal.deadLetters(undefined, 10)).toEqual({ items: [] });
    expect(named(await due(at, FAR))).toEqual([["a", "order.compensated"]]);
    const [, again] = await at.deliverAll();
    expect(again).toMatchObject({ id: event.id, payload: event.payload, createdMs: NOW, expiresMs: NOW + 5 + DAY_MS, tries: 0 });
    expect(again?.seq).toBeGreaterThan(event.seq);

    // Where nothing of its order waits it is due at once.
    await at.run("b");
    const alone = await dueOf(at, "b");
    await at.journal.giveUpEvent(alone.seq, "410", NOW);
    await at.journal.redeliver(alone.seq, NOW + 7);
    if (kind === "file") expect(at.query("SELECT next_try_ms AS ms, tries FROM outbox")).toEqual([{ ms: NOW + 7, tries: 0 }]);
    expect(named(await due(at, NOW + 7))).toEqual([["b", "order.placed"]]);
  });

  test("events whose day is over are given up in batches, oldest first, also those that wait behind others of their order", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    for (let n = 0; n < 5; n++) await at.run(`o${n}`, { error: "timeout", compensations: [done("payment")], nowMs: NOW + n });
    expect(await at.journal.giveUpExpired(NOW + DAY_MS - 1, "24 h", NOW + DAY_MS, 100)).toBe(0);
    expect(await at.journal.giveUpExpired(NOW + DAY_MS + 3, "24 h", NOW + DAY_MS, 6)).toBe(6);
    expect(await at.journal.giveUpExpired(NOW + DAY_MS + 3, "24 h", NOW + DAY_MS, 6)).toBe(2);
    expect(await at.journal.giveUpExpired(NOW + DAY_MS + 3, "24 h", NOW + DAY_MS, 6)).toBe(0);
    expect(named(await due(at, FAR))).toEqual([["o4", "order.failed"]]);
    const letters = (await at.journal.deadLetters(undefined, 100)).items;
    expect(letters).toHaveLength(8);
    expect(letters[0]).toMatchObject({ orderId: "o0", givenUpMs: NOW + DAY_MS, reason: "24 h" });
  });

  test("what was written while there was a receiver is there to be delivered when the journal is opened without", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    await at.run("a", { error: "timeout", compensations: [postponed("payment")] });
    await at.restart({});
    await at.run("b");
    const [{ id } = { id: 0 }] = await at.take("payment");
    expect(await at.journal.compensationTried({ id, step: "payment" }, NOW)).toBe("done");
    expect((await at.payloads()).map(({ type }) => type)).toEqual(["order.failed"]);
  });
});
