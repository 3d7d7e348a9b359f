import { expect, test } from "vitest";
import { JournalBusy } from "../../src/orders/order-journal.ts";
import { JournalFixture, NOW, pending } from "./journal-fixture.ts";

test("however many look orders up, what is due is read, and a settled compensation is answered", async () => {
  await using at = await JournalFixture.open("file", { events: true });
  await at.run("a", { error: "timeout", compensations: [pending("payment", NOW)] });
  const lookUps = () => Promise.allSettled(Array.from({ length: 300 }, () => at.journal.find("a")));
  const looks = lookUps();
  const [compensations, events, backlog] = await Promise.all([
    at.journal.dueCompensations("payment", NOW, 10),
    at.journal.dueEvents(NOW, 10),
    at.journal.backlog(),
  ]);
  expect(compensations.items).toMatchObject([{ orderId: "a" }]);
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
