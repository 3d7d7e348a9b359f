import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { JournalOpenError } from "../../src/journal/journal-open-error.ts";
import { SqliteJournal, type SqliteJournalOptions } from "../../src/journal/sqlite-journal.ts";
import { MIGRATIONS } from "../../workers/journal/migrations.ts";
import { openDatabase } from "../../workers/journal/open-database.ts";
import { answerTo, JournalFixture, NOW } from "./journal-fixture.ts";

let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "journal-open-"));
  file = join(directory, "orders.db");
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** The message with which opening is refused: one line that names the setting and the file. */
async function refusal(path: string, options?: SqliteJournalOptions): Promise<string> {
  const opened = SqliteJournal.open(path, options);
  const error: unknown = await opened.then(
    (journal) => journal.close().then(() => "opened"),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(JournalOpenError);
  const { message } = error as JournalOpenError;
  expect(message).not.toContain("\n");
  const start = `JOURNAL=${JSON.stringify(path)}: `;
  expect(message.slice(0, start.length)).toBe(start);
  return message.slice(start.length);
}

/** A journal with 200 placed orders `o0` to `o199`. */
async function filled(): Promise<void> {
  const journal = await SqliteJournal.open(file);
  const orderIds = Array.from({ length: 200 }, (_, n) => `o${n}`);
  await Promise.all(orderIds.map((orderId) => journal.accept({ orderId, amount: 1, nowMs: NOW })));
  await Promise.all(orderIds.map((orderId) => journal.finish({ orderId, attempt: 1, answer: answerTo(orderId), undos: [], nowMs: NOW })));
  await journal.close();
}

describe("the file", () => {
  test("and its directories are made when missing; an empty file counts as missing", async () => {
    const deep = join(directory, "a", "b", "orders.db");
    await (await SqliteJournal.open(deep)).close();
    expect(statSync(deep).size).toBeGreaterThan(0);
    writeFileSync(file, "");
    await (await SqliteJournal.open(file)).close();
  });

  test("is alone after an orderly close: nothing is left in a log beside it", async () => {
    await filled();
    expect(statSync(`${file}-wal`, { throwIfNoEntry: false })).toBeUndefined();
    expect(statSync(`${file}-shm`, { throwIfNoEntry: false })).toBeUndefined();
  });

  test("is open for this process alone, and a commit is on the disk before it is one", () => {
    const db = openDatabase({ file, events: false });
    const settings = ["journal_mode", "locking_mode", "synchronous", "foreign_keys"].map((name) => db.prepare(`PRAGMA ${name}`).get());
    expect(settings).toEqual([{ journal_mode: "wal" }, { locking_mode: "exclusive" }, { synchronous: 2 }, { foreign_keys: 1 }]);
    db.close();
  });

  test("that is a directory, or is to be in what is none, is refused", async () => {
    mkdirSync(file);
    expect(await refusal(file)).toBe("it is a directory");
    const plain = join(directory, "plain");
    writeFileSync(plain, "x");
    expect(await refusal(join(plain, "orders.db"))).toMatch(/^its directory cannot be made \(E(EXIST|NOTDIR)\)$/);
  });

  test.skipIf(process.getuid?.() === 0)("that may not be written is refused", async () => {
    mkdirSync(join(directory, "closed"), { mode: 0o500 });
    expect(await refusal(join(directory, "closed", "orders.db"))).toMatch(/^it or its directory cannot be opened for writing/);
  });

  test("on a full disk is refused", async () => {
    expect(await refusal(file, { maxPages: 2 })).toMatch(/^the disk is full/);
  });
});

describe("a damaged file", () => {
  test("of which nothing is SQLite is refused, and stays as it is", async () => {
    const text = "order_id,amount\n".repeat(1_000);
    writeFileSync(file, text);
    expect(await refusal(file)).toMatch(/^it is not a journal: not a SQLite database/);
    expect(readFileSync(file, "utf8")).toBe(text);
  });

  test("that was cut short is refused", async () => {
    await filled();
    truncateSync(file, statSync(file).size - 8_192);
    expect(await refusal(file)).toMatch(/^it is damaged/);
  });

  test("whose schema is gone is refused", async () => {
    await filled();
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.fill(0xa5, 100, 4_096));
    expect(await refusal(file)).toMatch(/^it is damaged/);
  });
});

describe("the schema's number", () => {
  /** A journal as a version wrote it whose newest migration was number `version`. */
  function writtenBy(version: number): DatabaseSync {
    const db = new DatabaseSync(file);
    for (const step of MIGRATIONS.slice(0, version)) db.exec(step);
    db.exec(`PRAGMA application_id = 0x4f52444a; PRAGMA user_version = ${version}`);
    return db;
  }

  test.each(MIGRATIONS.map((_, index) => index + 1))("%i opens and works, with what it holds", async (version) => {
    const db = writtenBy(version);
    db.exec(`
      INSERT INTO attempts (order_id, attempt, amount, accepted_ms, ended_ms, error, interrupted, answer)
      VALUES ('old', 1, 100, ${NOW}, ${NOW}, NULL, 0, '${answerTo("old").json}');
      INSERT INTO open_attempts (order_id, attempt, amount, accepted_ms, request_id) VALUES ('open', 1, 5, ${NOW}, 1);
      INSERT INTO idempotency_keys (client, key, body_hash, order_id, attempt, expires_ms) VALUES ('', 'k', 'h', 'old', 1, ${NOW + 9});
    `);
    db.close();
    const journal = await SqliteJournal.open(file, { events: true });
    const key = { client: "", key: "k", bodyHash: "h", expiresMs: NOW + 9 };
    expect(await journal.accept({ orderId: "old", amount: 100, nowMs: NOW, key })).toEqual({ type: "replayed", answer: answerTo("old") });
    expect(await journal.closeInterrupted(10, NOW)).toBe(1);
    expect(await journal.undelivered(0, 10)).toMatchObject([{ orderId: "open" }]);
    await journal.close();
    const after = new DatabaseSync(file);
    expect(after.prepare("PRAGMA user_version").get()).toEqual({ user_version: MIGRATIONS.length });
    after.close();
  });

  test("of a newer version is refused, and the file stays as it is", async () => {
    await filled();
    const db = new DatabaseSync(file);
    db.exec(`PRAGMA user_version = ${MIGRATIONS.length + 1}`);
    db.close();
    const before = readFileSync(file);
    expect(await refusal(file)).toBe(
      `it has schema ${MIGRATIONS.length + 1}, written by a newer version; this one knows up to ${MIGRATIONS.length}`,
    );
    expect(readFileSync(file)).toEqual(before);
  });

  test("of another application's database is refused, and that stays as it is", async () => {
    const db = new DatabaseSync(file);
    db.exec("CREATE TABLE customers (id INTEGER PRIMARY KEY)");
    db.close();
    const before = readFileSync(file);
    expect(await refusal(file)).toBe("it is not a journal: a SQLite database of something else");
    expect(readFileSync(file)).toEqual(before);
  });

  test("a migration that fails leaves nothing behind", async () => {
    const db = writtenBy(1);
    // In the way of the second step.
    db.exec("CREATE TABLE dead_letters (x)");
    db.close();
    await expect(SqliteJournal.open(file)).rejects.toThrow("table dead_letters already exists");
    const after = new DatabaseSync(file);
    expect(after.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'outbox'").get()).toEqual({ n: 0 });
    expect(after.prepare("PRAGMA user_version").get()).toEqual({ user_version: 1 });
    after.close();
  });
});

describe("a second process", () => {
  /** Holds the journal open until it is told to let go. */
  async function holder() {
    const child = spawn(process.execPath, [join(import.meta.dirname, "holder-child.ts"), file], { stdio: ["pipe", "pipe", "inherit"] });
    await once(child.stdout, "data");
    return child;
  }

  test("is refused while the first has the file", async () => {
    const child = await holder();
    try {
      expect(await refusal(file)).toMatch(/^another process has it open/);
    } finally {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    await (await SqliteJournal.open(file)).close();
  });

  test("that comes a moment before the first lets go waits for it", async () => {
    const child = await holder();
    const opened = SqliteJournal.open(file);
    const exited = once(child, "exit");
    setTimeout(() => child.stdin.end(), 400);
    await (await opened).close();
    await exited;
  });

  test("of the same process is refused too", async () => {
    await using at = await JournalFixture.open("file");
    expect(await refusal(at.file)).toMatch(/^another process has it open/);
  });
});
