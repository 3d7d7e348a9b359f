import { copyFileSync } from "node:fs";
import { DatabaseSync, StatementSync } from "node:sqlite";
import { afterEach, expect, test, vi } from "vitest";
import type { Operation } from "../../src/journal/protocol.ts";
import { MIGRATIONS } from "../../workers/journal/migrations.ts";
import { Writer } from "../../workers/journal/writer.ts";
import { JournalFixture, NOW, pending } from "../journal/journal-fixture.ts";
import { backUp, expectNothingGoesOn, heldIn, restoreFrom } from "./open-work.ts";

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
  const db = new DatabaseSync(old);
  db.exec("PRAGMA journal_mode = WAL");
  for (const step of MIGRATIONS.slice(0, 1)) db.exec(step);
  db.exec(`
    PRAGMA user_version = 1;
    INSERT INTO attempts (id, order_id, attempt, amount, accepted_ms, ended_ms, error, interrupted, answer)
      VALUES (7, 'failed', 3, 100, ${NOW}, ${NOW}, 'timeout', 0, '{"status":"error","order_id":"failed","steps":[]}');
    INSERT INTO undo_tasks (id, attempt_id, step, tries, done_ms, request_id) VALUES (1, 7, 'payment', 2, NULL, NULL), (2, 7, 'vendor', 1, ${NOW}, NULL);
    INSERT INTO open_attempts (order_id, attempt, amount, accepted_ms, request_id) VALUES ('running', 1, 5, ${NOW}, 17);
    PRAGMA application_id = 0x4f524442;
  `);
  db.close();
  await using restored = await restoreFrom(old, at.directory);
  expect(await heldIn(restored.journal)).toEqual(["failed payment", "running courier", "running payment", "running vendor"]);
  await expectNothingGoesOn(restored.journal);
});
