import { expect, test } from "vitest";
import { stuckWarning } from "../../src/admin/stuck-warning.ts";
import type { Backlog } from "../../src/orders/operator-journal.ts";
import { JournalFixture } from "../journal/journal-fixture.ts";
import { addOpenWork, backUp, restoreFrom } from "./open-work.ts";

/** The fields of the next warning that a backlog causes in a day. */
function warningOf(backlog: Backlog): Promise<Readonly<Record<string, unknown>>> {
  return new Promise((resolve, reject) => {
    const warn = (fields: Readonly<Record<string, unknown>>) => {
      void warning.stop();
      resolve(fields);
    };
    const later = () => Date.now() + 86_400_000;
    const warning = stuckWarning({ journal: { backlog: async () => backlog }, warn, onFault: reject, everyMs: 1, nowMs: later });
    warning.start();
  });
}

test("the warning of what is stuck says what of it is held since a restore, and what holds it", async () => {
  await using at = await JournalFixture.open("file");
  await addOpenWork(at);
  const before = await at.journal.backlog();
  await using restored = await restoreFrom(await backUp(at), at.directory);
  const backlog = await restored.journal.backlog();
  expect([before.held, backlog.held]).toEqual([undefined, 7]);
  expect(await warningOf(backlog)).toMatchObject({ held: 7, held_until: "POST /restore/confirm" });
  await restored.journal.confirmRestore("running", Date.now(), 10, "an operator");
  expect((await restored.journal.backlog()).held).toBe(4);
  await restored.journal.confirmRestore(undefined, Date.now(), 10, "an operator");
  const confirmed = await restored.journal.backlog();
  expect(confirmed).not.toHaveProperty("held");
  const fields = await warningOf(confirmed);
  expect(fields).toHaveProperty("compensations");
  expect(fields).not.toHaveProperty("held");
});
