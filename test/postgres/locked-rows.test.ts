import { expect, test } from "vitest";
import { done, dueAt, JournalFixture, NOW, pending } from "../journal/journal-fixture.ts";
import { connect } from "./queries/queries-fixture.ts";

const AGAIN_MS = 50;

test("where another session has every row that is due, a look finds none and says that there are some", async () => {
  await using at = await JournalFixture.open("postgres", { events: true });
  await at.run("a", { error: "timeout", compensations: [pending("payment"), pending("vendor"), done("courier")] });
  const other = await connect(at.file);
  try {
    await other.query("BEGIN");
    await other.query("SELECT FROM compensations WHERE step = 'payment' FOR UPDATE");
    await other.query("SELECT FROM outbox FOR UPDATE");
    const look = (step: "payment" | "vendor") => at.journal.takeCompensations(step, "first", dueAt(NOW));
    expect(await look("payment")).toEqual({ items: [], nextDueMs: NOW + AGAIN_MS });
    expect(await look("vendor")).toMatchObject({ items: [{ orderId: "a" }] });
    expect(await look("vendor")).toEqual({ items: [] });
    expect(await at.dueEvents(NOW)).toEqual({ items: [], nextDueMs: NOW + AGAIN_MS });
    await other.query("ROLLBACK");
    expect(await look("payment")).toEqual({ items: [expect.objectContaining({ orderId: "a" })] });
    expect((await at.dueEvents(NOW)).items).toHaveLength(1);
  } finally {
    await other.end();
  }
});
