import { copyFileSync } from "node:fs";
import { StatementSync } from "node:sqlite";
import { afterEach, expect, test, vi } from "vitest";
import { stuckWarning } from "../../src/admin/stuck-warning.ts";
import type { Operation } from "../../src/journal/protocol.ts";
import type { Backlog } from "../../src/orders/operator-journal.ts";
import { Writer } from "../../workers/journal/writer.ts";
import { JournalFixture, NOW, pending } from "../journal/journal-fixture.ts";
import { furtherMigration, renumber, UPGRADE, writeJournal } from "../journal/older-schema.ts";
import { addOpenWork, backUp, expectNothingGoesOn, heldIn, restoreFrom } from "./open-work.ts";

/** "ORDB". */
const BACKUP_ID = 0x4f524442;

afterEach(() => vi.restoreAllMocks());

/** How often a batch has a statement executed. */
function statementsOf(writer: Writer, batch: readonly Operation[]): number {
  let count = 0;
  for (const method of ["get", "all", "run", "iterate"] as const) {
    const real = StatementSync.prototype[method] as (...parameters: unknown[]) => unknown;
    vi.spyOn(StatementSync.prototype, method).mockImplementation(function (this: StatementSync, ...parameters: unknown[]) {
      count++;
      return real.apply(this, parameters) as never;
    });
  }
  const reply = writer.run(batch);
  vi.restoreAllMocks();
  expect(reply).toMatchObject({ type: "committed" });
  return count;
}

const accept = (orderId: string): Operation => ["accept", orderId, 100, NOW];

test("an order costs a journal that holds nothing no query more, whether it was restored or not", async () => {
  await using at = await JournalFixture.open("file");
  await at.run("failed", { error: "timeout" });
  await at.run("other", { error: "timeout" });
  const nothingOpen = await backUp(at);
  await at.run("held", { error: "timeout", compensations: [pending("payment")] });
  const somethingOpen = await backUp(at);
  const counts: number[][] = [];
  for (const file of [at.file, nothingOpen, somethingOpen]) {
    const place = `${file}-place.db`;
    if (file === at.file) await at.journal.close();
    copyFileSync(file, place);
    const writer = new Writer({ file: place, role: "writer", events: false });
    counts.push([accept("new"), accept("failed")].map((operation) => statementsOf(writer, [operation])));
    writer.close();
  }
  const [never = [], restored, holding = []] = counts;
  expect(never.every((count) => count > 0)).toBe(true);
  expect(restored).toEqual(never);
  // With something held only an order that has failed before is looked up.
  expect(holding).toEqual([never[0], (never[1] ?? 0) + 1]);
  await at.restart();
});

test("a backup of an older version is held as well: what it had open is in its tables of then", async () => {
  await using at = await JournalFixture.open("file");
  const old = `${at.directory}/old.db`;
  writeJournal(
    old,
    "older",
    `INSERT INTO attempts (id, order_id, attempt, amount, accepted_ms, ended_ms, error, interrupted, answer)
       VALUES (7, 'failed', 3, 100, ${NOW}, ${NOW}, 'timeout', 0, '{"status":"error","order_id":"failed","steps":[]}');
     INSERT INTO compensations (id, attempt_id, step, tries, next_try_ms, last_answer, ended_ms, state) VALUES
       (1, 7, 'payment', 2, 0, 'HTTP 503', NULL, 'pending'), (2, 7, 'vendor', 1, NULL, NULL, ${NOW}, 'done');
     INSERT INTO open_attempts (order_id, attempt, amount, accepted_ms) VALUES ('running', 1, 5, ${NOW});`,
    BACKUP_ID,
  );
  {
    using _further = furtherMigration(UPGRADE);
    new Writer({ file: old, role: "writer", events: false }).close();
  }
  renumber(old);
  await using restored = await restoreFrom(old, at.directory);
  expect(await heldIn(restored.journal)).toEqual(["failed payment", "running courier", "running payment", "running vendor"]);
  await expectNothingGoesOn(restored.journal);
});

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
