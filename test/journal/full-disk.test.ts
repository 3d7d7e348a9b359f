import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { SqliteJournal } from "../../src/journal/sqlite-journal.ts";
import { JournalUnavailable } from "../../src/orders/order-journal.ts";
import { JournalFile } from "../../workers/journal/journal-file.ts";
import { eventually } from "../support/eventually.ts";
import { answerTo, JournalFixture, keyOf, NOW } from "./journal-fixture.ts";

const SMALL = { maxPages: 120, probeMs: 20 };

/** Accepts orders until there is no room for more. Returns those that were accepted. */
async function fill(at: JournalFixture, prefix = "o"): Promise<string[]> {
  const accepted: string[] = [];
  for (let n = 0; ; n++) {
    const orderId = `${prefix}${n}`;
    try {
      await at.accept(orderId, 1, keyOf(`${orderId}-${"k".repeat(200)}`, "body", NOW));
      accepted.push(orderId);
    } catch (error) {
      expect(error).toBeInstanceOf(JournalUnavailable);
      expect((error as Error).message).toMatch(/^the disk is full/);
      return accepted;
    }
  }
}

describe("a full disk", () => {
  test("refuses what cannot be written and keeps what was; there is room again: healthy again", async () => {
    const health: [boolean, string][] = [];
    await using at = await JournalFixture.open("file", { ...SMALL, onHealth: (...change) => health.push(change) });
    expect(at.journal.healthy).toBe(true);
    const accepted = await fill(at);
    expect(accepted.length).toBeGreaterThan(50);
    expect(at.journal.healthy).toBe(false);
    expect(health).toEqual([[false, expect.stringMatching(/^the disk is full/)]]);

    expect(await at.journal.find(`o${accepted.length}`)).toBeUndefined();
    expect(await at.journal.find("o0")).toMatchObject({ orderId: "o0" });
    // Reads get their answer even from a batch whose writes fail.
    const [read, write] = await Promise.allSettled([at.journal.find("o1"), at.accept("x".repeat(5_000))]);
    expect(read).toMatchObject({ status: "fulfilled", value: { orderId: "o1" } });
    expect(write).toMatchObject({ status: "rejected", reason: expect.any(JournalUnavailable) });

    // Several tries later it still knows.
    await new Promise((resolve) => setTimeout(resolve, 5 * SMALL.probeMs));
    expect(at.journal.healthy).toBe(false);

    expect(await at.journal.expireKeys(NOW, 1_000)).toBe(accepted.length);
    await eventually("healthy again", () => at.journal.healthy);
    expect(await at.accept("after")).toEqual({ type: "accepted", attempt: 1 });
    expect(await at.finish("o0")).toEqual(answerTo("o0"));
    expect(health.at(-1)).toEqual([true, "it can be written again"]);

    // The second time it heals like the first: no try has left anything behind that spoils a later one.
    const again = await fill(at, "p");
    expect(again.length).toBeGreaterThan(0);
    expect(at.journal.healthy).toBe(false);
    expect(await at.journal.expireKeys(NOW, 1_000)).toBe(again.length);
    await eventually("healthy once more", () => at.journal.healthy);
    expect(health.map(([healthy]) => healthy)).toEqual([false, true, false, true]);
  });

  test("everything that was acknowledged is there after a restart", async () => {
    await using at = await JournalFixture.open("file", SMALL);
    const accepted = await fill(at);
    await at.restart({});
    expect(await at.journal.closeInterrupted(10_000, NOW)).toBe(accepted.length);
  });
});

test("a probe takes no other write's room, whether that comes after it or with it", () => {
  const directory = mkdtempSync(join(tmpdir(), "journal-probe-"));
  const path = join(directory, "orders.db");
  try {
    new JournalFile({ file: path, events: false }).close();
    const database = new DatabaseSync(path);
    const { page_count: pages } = database.prepare("PRAGMA page_count").get() as { page_count: number };
    database.close();
    // Room for a probe, or for an order as large, not for both.
    const file = new JournalFile({ file: path, events: false, maxPages: pages + 20 });
    expect(file.run([["probe", true]])).toMatchObject({ results: [null] });
    // One that has no room all the same leaves the probe where it was, and the next one must not find it in its way.
    expect(
      file.run([
        ["probe", false],
        ["accept", 1, "y".repeat(200_000), 1, NOW],
      ]).unavailable,
    ).toMatch(/full/);
    file.close();
    // As after a crash: the probe is there, and nobody remembers it.
    const later = new JournalFile({ file: path, events: false, maxPages: pages + 20 });
    expect(later.run([["probe", true]])).toMatchObject({ results: [null] });
    expect(later.run([["accept", 2, "x".repeat(60_000), 1, NOW]])).toMatchObject({ results: [1] });
    expect(later.run([["probe", true]]).unavailable).toMatch(/full/);
    // In one batch with a probe that finds no room, a small write is stored all the same.
    expect(
      later.run([
        ["probe", true],
        ["accept", 3, "small", 1, NOW],
      ]),
    ).toMatchObject({ results: [null, 1] });
    expect(later.run([["find", "small"]]).results).toMatchObject([{ orderId: "small" }]);
    later.close();
  } finally {
    rmSync(directory, { recursive: true });
  }
});

const CAN_LIMIT = spawnSync("prlimit", ["--version"]).status === 0;

test.skipIf(!CAN_LIMIT)("writes that the system refuses, and later no more: nothing that was acknowledged is lost", async () => {
  const directory = mkdtempSync(join(tmpdir(), "journal-limit-"));
  const file = join(directory, "orders.db");
  await (await SqliteJournal.open(file)).close();
  const withFile = (sql: string) => {
    const db = new DatabaseSync(file);
    const row = db.prepare(sql).get();
    db.close();
    return row;
  };
  // A process that died between the two halves of a try has left the first: it must not make later tries idle.
  withFile("INSERT INTO probes (id, filler) VALUES (1, x'00')");
  const script = join(import.meta.dirname, "limited-child.ts");
  // The limit holds for every file of the process; the log reaches it first.
  const args = ["--fsize=1000000:unlimited", process.execPath, script, file];
  const child = spawn("prlimit", args, { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const failed = JSON.parse((await lines.next()).value ?? "null");
    expect(failed).toMatchObject({ reason: expect.stringMatching(/^the disk (reports an error|is full)/), healthy: false });
    spawnSync("prlimit", [`--pid=${child.pid}`, "--fsize=unlimited"]);
    const healed = JSON.parse((await lines.next()).value ?? "null");
    expect(healed).toEqual({ type: "accepted", closed: failed.accepted + 1 });
    await once(child, "close");
    expect(withFile("SELECT count(*) AS left FROM probes")).toEqual({ left: 0 });
  } finally {
    child.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  }
});
