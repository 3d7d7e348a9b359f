import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Journal } from "../../src/journal/journal.ts";
import { JournalHealth } from "../../src/journal/journal-health.ts";
import { JournalUnavailable } from "../../src/orders/order-journal.ts";
import { Writer } from "../../workers/journal/writer.ts";
import { eventually } from "../support/eventually.ts";
import { answerTo, done, JournalFixture, keyOf, NOW, pending } from "./journal-fixture.ts";

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
    // Reads go on.
    const [read, write] = await Promise.allSettled([at.journal.find("o1"), at.accept("x".repeat(5_000))]);
    expect(read).toMatchObject({ status: "fulfilled", value: { orderId: "o1" } });
    expect(write).toMatchObject({ status: "rejected", reason: expect.any(JournalUnavailable) });

    // Several tries later it still knows.
    await new Promise((resolve) => setTimeout(resolve, 5 * SMALL.probeMs));
    expect(at.journal.healthy).toBe(false);

    expect(await at.journal.expireKeys(NOW, 1_000)).toBe(accepted.length);
    await eventually("healthy again", () => at.journal.healthy);
    expect(await at.accept("after")).toEqual({ type: "accepted", attempt: 1 });
    await at.finish("o0");
    expect(await at.accept("o0", 1)).toEqual({ type: "replayed", answer: answerTo("o0") });
    expect(health.at(-1)).toEqual([true, "it can be written again"]);

    // The second time it heals like the first: no try has left anything behind that spoils a later one.
    const again = await fill(at, "p");
    expect(again.length).toBeGreaterThan(0);
    expect(at.journal.healthy).toBe(false);
    expect(await at.journal.expireKeys(NOW, 1_000)).toBe(again.length);
    await eventually("healthy once more", () => at.journal.healthy);
    expect(health.map(([healthy]) => healthy)).toEqual([false, true, false, true]);
  });

  test("between the two commits of an ending refuses the answer whole; it is stored when there is room again", async () => {
    await using at = await JournalFixture.open("file", { ...SMALL, events: true });
    await at.accept("a", 1, keyOf("k"));
    const [vendor = 0, payment = 0] = await at.fail("a", { error: "timeout", compensations: [done("vendor"), pending("payment")] });
    await at.take("payment");
    const accepted = await fill(at);
    // More than the pages that are left have room for.
    const json = JSON.stringify({ ...JSON.parse(answerTo("a", "timeout").json), filler: "x".repeat(50_000) });
    const tried = [vendor, payment].map((id, index) => ({ id, step: index === 0 ? ("vendor" as const) : ("payment" as const) }));
    const answer = () => at.journal.answer({ orderId: "a", attempt: 1, json, answered: true, tried, nowMs: NOW });
    await expect(answer()).rejects.toBeInstanceOf(JournalUnavailable);
    expect((await at.journal.find("a"))?.latest.compensations.map(({ status }) => status)).toEqual(["trying", "trying"]);
    expect((await at.journal.orders({ status: "compensating" }, undefined, 10)).items).toMatchObject([{ orderId: "a" }]);

    expect(await at.journal.expireKeys(NOW, 1_000)).toBe(accepted.length);
    await answer();
    expect((await at.journal.find("a"))?.latest.compensations.map(({ status }) => status)).toEqual(["done", "done"]);
    expect(await at.accept("a", 1, keyOf("k"))).toEqual({ type: "replayed", answer: { error: "timeout", json } });
    expect((await at.payloads()).map(({ type }) => type)).toEqual(["order.failed", "order.compensated"]);
  });

  test("everything that was acknowledged is there after a restart", async () => {
    await using at = await JournalFixture.open("file", SMALL);
    const accepted = await fill(at);
    await at.restart({});
    for (const orderId of accepted) expect(await at.accept(orderId, 1)).toEqual({ type: "running", orderId, attempt: 1 });
    expect(await at.journal.closeInterrupted(10_000, NOW)).toBe(accepted.length);
  });
});

test("a probe takes no other write's room, also one that a crash has left", () => {
  const directory = mkdtempSync(join(tmpdir(), "journal-probe-"));
  const file = join(directory, "orders.db");
  const settings = { file, role: "writer", events: false } as const;
  const withFile = <T>(work: (db: DatabaseSync) => T): T => {
    const db = new DatabaseSync(file);
    try {
      return work(db);
    } finally {
      db.close();
    }
  };
  try {
    new Writer(settings).close();
    const pages = withFile((db) => Number(Object.values(db.prepare("PRAGMA page_count").get() ?? {})[0]));
    // Room for a probe, or for an order as large, not for both.
    const small = { ...settings, maxPages: pages + 20 };
    const writer = new Writer(small);
    expect(writer.probe()).toMatchObject({ type: "committed", commitMs: expect.any(Number) });
    expect(writer.run([["accept", "x".repeat(60_000), 1, NOW]])).toMatchObject({ results: [1] });
    expect(writer.probe()).toMatchObject({ type: "refused", reason: expect.stringMatching(/^the disk is full/) });
    // A small write has room all the same.
    expect(writer.run([["accept", "small", 1, NOW]])).toMatchObject({ results: [1] });
    writer.close();

    // A process that died between the two halves of a probe has left the first. The next probe may find no room beside it, but
    // takes it away.
    withFile((db) => db.exec("DELETE FROM open_attempts; INSERT INTO probes (id, filler) VALUES (1, zeroblob(65536))"));
    const later = new Writer(small);
    later.probe();
    expect(later.probe()).toMatchObject({ type: "committed", commitMs: expect.any(Number) });
    expect(later.run([["accept", "y".repeat(60_000), 1, NOW]])).toMatchObject({ results: [1] });
    later.close();
    expect(withFile((db) => db.prepare("SELECT count(*) AS n FROM probes").get())).toEqual({ n: 0 });
  } finally {
    rmSync(directory, { recursive: true });
  }
});

const CAN_LIMIT = spawnSync("prlimit", ["--version"]).status === 0;

test.skipIf(!CAN_LIMIT)("a write that the system cuts short in a commit is fatal, and nothing that was acknowledged is lost", async () => {
  const directory = mkdtempSync(join(tmpdir(), "journal-limit-"));
  const file = join(directory, "orders.db");
  await (await Journal.open(file)).close();
  // The limit holds for every file of the process; the log reaches it first.
  const script = join(import.meta.dirname, "limited-child.ts");
  const child = spawn("prlimit", ["--fsize=1000000:unlimited", process.execPath, script, file], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const { fatal, accepted } = JSON.parse((await lines.next()).value ?? "null");
    expect(fatal).toMatch(/^the disk reports an error/);
    expect(accepted).toBeGreaterThan(50);
    expect(await once(child, "close")).toEqual([1, null]);
    const journal = await Journal.open(file);
    for (let n = 0; n < accepted; n++) {
      expect(await journal.accept({ orderId: `o${n}`, amount: 1, nowMs: NOW })).toEqual({ type: "running", orderId: `o${n}`, attempt: 1 });
    }
    const closed = await journal.closeInterrupted(1_000_000, NOW);
    // The one under way when it happened may have been stored or not.
    expect([accepted, accepted + 1]).toContain(closed);
    await journal.close();
  } finally {
    child.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  }
});

const PROBE_MS = 2;

test("a probe that hangs with the disk is the only one, and the next one follows when it has ended", async () => {
  const ends: (() => void)[] = [];
  let underWay = 0;
  let most = 0;
  const health = new JournalHealth({
    probeMs: PROBE_MS,
    async probe() {
      most = Math.max(most, ++underWay);
      await new Promise<void>((resolve) => ends.push(resolve));
      underWay--;
    },
  });
  try {
    health.failed("the disk hangs");
    await eventually("a probe", () => ends.length > 0);
    // Far more time than many probes need.
    for (let n = 0; n < 20; n++) {
      health.failed("the disk hangs");
      await sleep(PROBE_MS);
    }
    expect(ends).toHaveLength(1);
    for (let n = 0; n < 3; n++) {
      ends.at(-1)?.();
      await eventually("the next probe", () => ends.length > n + 1);
    }
    expect(most).toBe(1);
    // It worked: no more of them.
    health.works();
    ends.at(-1)?.();
    const { length } = ends;
    await sleep(20 * PROBE_MS);
    expect(ends).toHaveLength(length);
  } finally {
    health.close();
  }
});
