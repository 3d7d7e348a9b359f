import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { Journal } from "../../src/journal/journal.ts";
import { BackupExists } from "../../src/orders/operator-journal.ts";
import { JournalUnavailable } from "../../src/orders/order-journal.ts";
import { eventually } from "../support/eventually.ts";
import { answerTo, JournalFixture, keyOf, NOW, pending } from "./journal-fixture.ts";

const CLIENTS = 100;

/** Orders that come in and end, half of them placed, with all that was acknowledged so far. */
class Load {
  readonly placed: string[] = [];
  readonly failed: string[] = [];
  readonly #clients: Promise<unknown>;
  #stopping = false;

  constructor(at: JournalFixture) {
    const client = async (name: number) => {
      for (let n = 0; !this.#stopping; n++) {
        const orderId = `${name}-${n}`;
        await at.accept(orderId, 1, keyOf(orderId));
        await at.finish(orderId, n % 2 === 0 ? {} : { error: "timeout", compensations: [pending("payment")] });
        (n % 2 === 0 ? this.placed : this.failed).push(orderId);
      }
    };
    this.#clients = Promise.all(Array.from({ length: CLIENTS }, (_, name) => client(name)));
  }

  get ended(): number {
    return this.placed.length + this.failed.length;
  }

  /** What has been acknowledged by now. */
  snapshot(): { placed: string[]; failed: string[] } {
    return { placed: [...this.placed], failed: [...this.failed] };
  }

  async until(ended: number): Promise<void> {
    await eventually(`${ended} orders`, () => this.ended >= ended, Boolean, 60_000);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#clients;
  }
}

/** Adds orders with long answers, some thousands of pages. */
function pad(at: JournalFixture): void {
  const db = new DatabaseSync(at.file);
  db.exec(`
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
    INSERT INTO attempts (order_id, attempt, amount, accepted_ms, ended_ms, interrupted, answer)
    SELECT 'padding-' || i, 1, 1, ${NOW}, ${NOW}, 0, hex(zeroblob(3500)) FROM n
  `);
  db.close();
}

const besideJournal = ({ directory }: JournalFixture) =>
  readdirSync(directory)
    .filter((name) => !name.startsWith("orders.db"))
    .sort();

/** Starts a copy as a journal and asks it for every answer that was given before the copy was begun. */
async function expectAnswers(file: string, { placed, failed }: { placed: string[]; failed: string[] }): Promise<void> {
  const journal = await Journal.open(file);
  while ((await journal.closeInterrupted(1_000, NOW)) > 0);
  const replay = (orderId: string) => journal.accept({ orderId, amount: 1, nowMs: NOW, key: keyOf(orderId) });
  const given = [...placed.map((orderId) => answerTo(orderId)), ...failed.map((orderId) => answerTo(orderId, "timeout"))];
  const answers = await Promise.all([...placed, ...failed].map(replay));
  expect(answers).toEqual(given.map((answer) => ({ type: "replayed", answer })));
  expect(await journal.backlog()).toMatchObject({ compensations: { payment: { count: expect.any(Number) } } });
  await journal.close();
}

describe("a backup", () => {
  test("while thousands of orders run is the journal of one moment, and gives every answer that was given before it", async () => {
    await using at = await JournalFixture.open("file", { events: true });
    // Large enough that it takes many steps, between which orders are written.
    pad(at);
    const load = new Load(at);
    await load.until(2_000);
    const before = load.snapshot();
    const copy = join(at.directory, "copy.db");
    const { file, bytes, durationMs } = await at.journal.backup(copy);
    expect([file, bytes > 0, durationMs > 0]).toEqual([copy, true, true]);
    // Several at once come one after another.
    await Promise.all(["x.db", "y.db"].map((name) => at.journal.backup(join(at.directory, name))));
    await load.until(load.ended + CLIENTS);
    await load.stop();
    expect(at.journal.healthy).toBe(true);
    expect(besideJournal(at)).toEqual(["copy.db", "x.db", "y.db"]);
    await expectAnswers(copy, before);
    // Every order is in it whole or not at all.
    await at.restart();
    expect(at.query("PRAGMA integrity_check")).toEqual([{ integrity_check: "ok" }]);
  });

  test("of a name that exists is refused, and that file stays as it is", async () => {
    await using at = await JournalFixture.open("file");
    const there = join(at.directory, "there.db");
    writeFileSync(there, "something else");
    await expect(at.journal.backup(there)).rejects.toBeInstanceOf(BackupExists);
    expect(readFileSync(there, "utf8")).toBe("something else");
    await expect(at.journal.backup(at.file)).rejects.toBeInstanceOf(BackupExists);
    expect(await at.accept("a")).toMatchObject({ type: "accepted" });
  });

  test("that cannot be written is refused with the reason and leaves nothing; the next one works", async () => {
    await using at = await JournalFixture.open("file");
    await at.run("a");
    const nowhere = at.journal.backup(join(at.directory, "no", "such.db"));
    await expect(nowhere).rejects.toBeInstanceOf(JournalUnavailable);
    await expect(nowhere).rejects.toThrow(/cannot be opened|ENOENT/);
    expect(existsSync(join(at.directory, "no"))).toBe(false);
    expect(at.journal.healthy).toBe(true);
    // What a backup that was cut off has left is not a part of the next one.
    const copy = join(at.directory, "copy.db");
    const partial = `${copy}.order-pipeline.partial`;
    for (const suffix of ["", "-wal", "-journal"]) writeFileSync(`${partial}${suffix}`, "left over".repeat(1_000));
    await at.journal.backup(copy);
    expect(besideJournal(at)).toEqual(["copy.db"]);
    await expectAnswers(copy, { placed: [], failed: [] });
  });

  test("in the place of a journal whose log is still there is refused; without that log it starts, and after a crash again", async () => {
    await using at = await JournalFixture.open("file");
    await at.run("before");
    const copy = join(at.directory, "copy.db");
    await at.journal.backup(copy);
    await at.accept("after");
    // As a killed process leaves them.
    const [place, log] = [join(at.directory, "place.db"), join(at.directory, "place.db-wal")];
    copyFileSync(`${at.file}-wal`, log);
    copyFileSync(copy, place);
    const refusal = /it is a backup, and the log of another journal stands beside it/;
    await expect(Journal.open(place)).rejects.toThrow(refusal);
    // By any of its names.
    const link = join(at.directory, "link.db");
    symlinkSync(place, link);
    await expect(Journal.open(link)).rejects.toThrow(refusal);
    renameSync(log, `${place}-journal`);
    await expect(Journal.open(place)).rejects.toThrow(refusal);
    rmSync(`${place}-journal`);
    const restored = await Journal.open(place);
    expect(await restored.find("before")).toMatchObject({ orderId: "before" });
    expect(await restored.find("after")).toBeUndefined();
    await restored.accept({ orderId: "later", amount: 1, nowMs: NOW });
    const [crashed, itsLog] = [join(at.directory, "crashed.db"), join(at.directory, "crashed.db-wal")];
    copyFileSync(place, crashed);
    copyFileSync(log, itsLog);
    await restored.close();
    const again = await Journal.open(crashed);
    expect(await again.find("later")).toMatchObject({ orderId: "later" });
    await again.close();
  });

  test("of a journal in memory is refused", async () => {
    await using at = await JournalFixture.open("memory");
    await expect(at.journal.backup(join(at.directory, "never.db"))).rejects.toThrow("only a journal in a file makes backups");
  });

  test("that runs when the journal is closed ends first", async () => {
    await using at = await JournalFixture.open("file");
    const load = new Load(at);
    await load.until(500);
    await load.stop();
    const before = load.snapshot();
    const copy = join(at.directory, "copy.db");
    const underWay = at.journal.backup(copy);
    const waits = at.journal.backup(`${copy}.2`);
    waits.catch(() => {});
    await new Promise<void>((resolve) => setImmediate(resolve));
    await at.journal.close();
    expect(await underWay).toMatchObject({ file: copy });
    await expect(waits).rejects.toThrow("the journal is closed");
    expect(besideJournal(at)).toEqual(["copy.db"]);
    await expectAnswers(copy, before);
  });
});

const hasSqlite = spawnSync("sqlite3", ["--version"]).status === 0;
if (!hasSqlite) console.warn("the tests with sqlite3 are skipped: it is not installed");

describe.skipIf(!hasSqlite)("sqlite3, while the journal runs", () => {
  async function sqlite3(...args: string[]): Promise<string> {
    const child = spawn("sqlite3", args, { stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (chunk) => (text += chunk));
    await once(child, "close");
    return text.trim();
  }

  test("reads what has been acknowledged", { timeout: 60_000 }, async () => {
    await using at = await JournalFixture.open("file");
    const load = new Load(at);
    for (let look = 1; look <= 5; look++) {
      await load.until(200 * look);
      const acknowledged = load.ended;
      const counted = Number(await sqlite3(at.file, "SELECT count(*) FROM attempts"));
      expect(counted).toBeGreaterThanOrEqual(acknowledged);
      // Requests of every client may be stored and not acknowledged yet.
      expect(counted).toBeLessThanOrEqual(load.ended + CLIENTS);
    }
    await load.stop();
    expect(at.journal.healthy).toBe(true);
  });

  test("backs it up, and the copy is a journal with every answer that was given before", async () => {
    await using at = await JournalFixture.open("file");
    const load = new Load(at);
    await load.until(2_000);
    const before = load.snapshot();
    const copy = join(at.directory, "copy.db");
    const counted = Number(await sqlite3(at.file, "BEGIN; SELECT count(*) FROM attempts;", `.backup ${copy}`));
    expect(counted).toBeGreaterThanOrEqual(before.placed.length + before.failed.length);
    await load.until(load.ended + CLIENTS);
    await load.stop();
    expect(at.journal.healthy).toBe(true);
    expect(await sqlite3(copy, "SELECT count(*) FROM attempts")).toBe(String(counted));
    await expectAnswers(copy, before);
  });

  test("that reads for long is in nobody's way, and the journal opens beside it", async () => {
    await using at = await JournalFixture.open("file");
    await at.run("a");
    const child = spawn("sqlite3", [at.file], { stdio: ["pipe", "pipe", "inherit"] });
    try {
      child.stdin.write("BEGIN; SELECT count(*) FROM attempts;\n");
      expect(String((await once(child.stdout, "data"))[0])).toBe("1\n");
      await at.run("b");
      await at.restart();
      expect(await at.accept("b")).toMatchObject({ type: "replayed" });
      await at.run("c");
      child.stdin.write("SELECT count(*) FROM attempts; COMMIT; SELECT count(*) FROM attempts;\n");
      let text = "";
      child.stdout.setEncoding("utf8").on("data", (chunk) => (text += chunk));
      await eventually("its counts", () => text.split("\n").length > 2);
      expect(text).toBe("1\n3\n");
    } finally {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
  });
});
