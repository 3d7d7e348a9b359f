import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { Site } from "./site.ts";

/** Makes a journal of some 120 MB, so that a backup takes a while. */
function fill(journal: string): void {
  const db = new DatabaseSync(journal);
  db.exec(`
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
    INSERT INTO attempts (order_id, attempt, amount, accepted_ms, ended_ms, interrupted, answer)
    SELECT 'padding-' || i, 1, 1, 0, 0, 0, hex(zeroblob(2000)) FROM n
  `);
  db.close();
}

/** Kills the service while it makes the backup `b.db`. On a slow machine the first may be complete before that. */
async function cutOffBackup(site: Site): Promise<void> {
  const whole = join(site.backups, "b.db");
  const partial = `${whole}.order-pipeline.partial`;
  for (let tries = 0; tries < 10; tries++) {
    const cutOff = site.admin("POST", "/backup", { name: "b.db" }).catch(() => undefined);
    const isBegun = () => (statSync(partial, { throwIfNoEntry: false })?.size ?? 0) > 1_000_000 || existsSync(whole);
    await eventually("a part of the backup", isBegun);
    await site.kill();
    await cutOff;
    if (!existsSync(whole)) return;
    rmSync(whole);
    await site.start();
  }
  throw new Error("no backup could be cut off");
}

test("what a backup that was cut off has left is gone after the next start, and nothing of others", { timeout: 120_000 }, async () => {
  await using site = await Site.open();
  await site.start();
  fill(site.journal);
  await cutOffBackup(site);
  expect(readdirSync(site.backups)).toEqual(["b.db.order-pipeline.partial", "b.db.order-pipeline.partial-journal"]);

  // Files of others, and a backup that another service is writing.
  for (const name of ["notes.partial", "b.db.partial", "order-pipeline.partial.txt"]) writeFileSync(join(site.backups, name), "of others");
  mkdirSync(join(site.backups, "folder.order-pipeline.partial"));
  const theirs = join(site.backups, "theirs.order-pipeline.partial");
  const writing = new DatabaseSync(theirs);
  writing.exec("CREATE TABLE t (a); BEGIN EXCLUSIVE; INSERT INTO t VALUES (1)");
  const others = () => readdirSync(site.backups).filter((name) => !name.startsWith("theirs.order-pipeline.partial-"));
  const left = ["b.db.partial", "folder.order-pipeline.partial", "notes.partial", "order-pipeline.partial.txt"];

  await site.start();
  expect(others()).toEqual([...left, "theirs.order-pipeline.partial"]);
  const removed = site.warnings.find(({ files }) => files !== undefined);
  expect(removed?.files).toEqual(["b.db.order-pipeline.partial"]);
  expect((await site.admin("POST", "/backup", { name: "b.db" })).status).toBe(200);
  writing.exec("COMMIT");
  writing.close();
  await site.kill();

  // Its service has gone.
  await site.start();
  expect(readdirSync(site.backups)).toEqual(["b.db", ...left]);
  expect(existsSync(theirs)).toBe(false);
  await site.restore("b.db");
  expect((await site.order("a")).status).toBe(200);
});
