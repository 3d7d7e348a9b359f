import { expect, test } from "vitest";
import type { JournalSettings } from "../../src/journal/protocol.ts";
import { JournalBusy } from "../../src/orders/order-journal.ts";
import { Queries } from "../../workers/journal/queries.ts";
import { Writer } from "../../workers/journal/writer.ts";
import { JournalFixture, NOW, pending } from "./journal-fixture.ts";
import { temporaryFile } from "./temporary-file.ts";

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
  const settled = await at.journal.settleCompensation(1, "by hand", NOW);
  expect(settled).toMatchObject({ orderId: "a", status: "settled", note: "by hand" });
  await moreLooks;
  const refused = (await looks).filter(({ status }) => status === "rejected");
  expect(refused).toHaveLength(300 - 256);
  for (const look of refused) expect(look).toMatchObject({ reason: expect.any(JournalBusy) });
});

test("a count of what waits that the closing cuts short is refused, without a fault", async () => {
  const settings: JournalSettings = { file: temporaryFile(), role: "writer", events: false };
  const writer = new Writer(settings);
  const queries = new Queries(settings, writer.db);
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
