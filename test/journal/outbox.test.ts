import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { JournalFixture, NOW } from "./journal-fixture.ts";

async function place(at: JournalFixture, ...orderIds: string[]): Promise<void> {
  for (const orderId of orderIds) {
    await at.accept(orderId);
    await at.finish(orderId);
  }
}

test("events are read in their order, from any point on, each under an id of its own that stays", async () => {
  await using at = await JournalFixture.open("file", { events: true });
  await place(at, "a", "b", "c");
  const events = await at.journal.undelivered(0, 10);
  expect(events.map(({ orderId, createdMs }) => [orderId, createdMs])).toEqual([
    ["a", NOW],
    ["b", NOW],
    ["c", NOW],
  ]);
  for (const { id } of events) expect(id).toMatch(/^evt_[0-9a-f-]{36}$/);
  expect(new Set(events.map(({ id }) => id)).size).toBe(3);
  expect(await at.journal.undelivered(events[0]?.seq ?? 0, 1)).toEqual(events.slice(1, 2));
  await at.restart();
  expect(await at.journal.undelivered(0, 10)).toEqual(events);
});

test("delivered events are gone, and no later one takes the number of one that is gone", async () => {
  await using at = await JournalFixture.open("file", { events: true });
  await place(at, "a", "b", "c");
  const seqs = (await at.journal.undelivered(0, 10)).map(({ seq }) => seq);
  await at.journal.delivered(seqs.slice(0, 2));
  expect((await at.journal.undelivered(0, 10)).map(({ orderId }) => orderId)).toEqual(["c"]);
  await at.journal.delivered(seqs);
  await at.journal.delivered([]);
  await at.restart();
  await place(at, "d");
  const [event] = await at.journal.undelivered(0, 10);
  expect(event?.seq).toBeGreaterThan(Math.max(...seqs));
});

test("an event that is given up moves to the dead letters, once", async () => {
  await using at = await JournalFixture.open("file", { events: true });
  await place(at, "a", "b");
  const [event] = await at.journal.undelivered(0, 1);
  if (event === undefined) throw new Error("no event");
  await at.journal.giveUp(event.seq, "503 for 24 h", NOW + 1);
  await at.journal.giveUp(event.seq, "again", NOW + 2);
  expect((await at.journal.undelivered(0, 10)).map(({ orderId }) => orderId)).toEqual(["b"]);
  await at.journal.close();
  const db = new DatabaseSync(at.file);
  expect(db.prepare("SELECT * FROM dead_letters").all()).toEqual([
    {
      seq: event.seq,
      id: event.id,
      order_id: "a",
      payload: event.payload,
      created_ms: NOW,
      given_up_ms: NOW + 1,
      reason: "503 for 24 h",
    },
  ]);
  db.close();
});

test("what was written while there was a receiver is there to be delivered when the journal is opened without", async () => {
  await using at = await JournalFixture.open("file", { events: true });
  await place(at, "a");
  await at.restart({});
  await place(at, "b");
  expect((await at.events()).map(({ data }) => data.order_id)).toEqual(["a"]);
});
