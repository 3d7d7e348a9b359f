import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Journal, type JournalOptions } from "../../src/journal/journal.ts";
import { JournalOpenError } from "../../src/journal/journal-store.ts";
import { JournalUnavailable } from "../../src/orders/order-journal.ts";
import { MIGRATIONS } from "../../workers/journal/migrations.ts";
import { openForReading, openForWriting } from "../../workers/journal/open-database.ts";
import { eventually } from "../support/eventually.ts";
import { answerTo, JournalFixture, NOW } from "./journal-fixture.ts";

let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "journal-open-"));
  file = join(directory, "orders.db");
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** The message with which opening is refused: one line that names the setting and the file. */
async function refusal(path: string, options?: JournalOptions): Promise<string> {
  const error: unknown = await Journal.open(path, options).then(
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
  const journal = await Journal.open(file);
  const orderIds = Array.from({ length: 200 }, (_, n) => `o${n}`);
  await Promise.all(orderIds.map((orderId) => journal.accept({ orderId, amount: 1, nowMs: NOW })));
  await Promise.all(
    orderIds.map((orderId) =>
      journal.finish({ orderId, attempt: 1, answer: answerTo(orderId), answered: true, compensations: [], nowMs: NOW }),
    ),
  );
  await journal.close();
}

describe("the file", () => {
  test("and its directories are made when missing; an empty file counts as missing", async () => {
    const deep = join(directory, "a", "b", "orders.db");
    await (await Journal.open(deep)).close();
    expect(statSync(deep).size).toBeGreaterThan(0);
    writeFileSync(file, "");
    await (await Journal.open(file)).close();
  });

  test("is alone after an orderly close: nothing is left in a log beside it", async () => {
    await filled();
    expect(statSync(`${file}-wal`, { throwIfNoEntry: false })).toBeUndefined();
    expect(statSync(`${file}-shm`, { throwIfNoEntry: false })).toBeUndefined();
  });

  test("holds a commit on the disk before it is one", () => {
    const { db, lock } = openForWriting({ file, role: "writer", events: false });
    const pragmas = ["journal_mode", "synchronous", "foreign_keys", "wal_autocheckpoint"];
    expect(pragmas.flatMap((name) => Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {}))).toEqual(["wal", 2, 1, 0]);
    db.close();
    lock?.close();
  });

  test("is read by a connection that cannot write", () => {
    const { db, lock } = openForWriting({ file, role: "writer", events: false });
    const reader = openForReading(file);
    expect(() => reader.exec("DELETE FROM attempts")).toThrow("readonly");
    reader.close();
    db.close();
    lock?.close();
  });

  test("has what a crash left in its log in the database, and on the disk, before anything is added to it", () => {
    const settings = { file, role: "writer", events: false } as const;
    const first = openForWriting(settings);
    first.db.exec("INSERT INTO open_attempts (order_id, attempt, amount, accepted_ms) VALUES ('a', 1, 1, 1)");
    // As after a crash: a database and its log of which only the kernel knows whether they are on the disk.
    const crashed = join(directory, "crashed.db");
    for (const suffix of ["", "-wal"]) copyFileSync(`${file}${suffix}`, `${crashed}${suffix}`);
    first.db.close();
    first.lock?.close();
    expect(readFileSync(crashed).includes("open_attemptsopen_attempts")).toBe(false);
    const frames = statSync(`${crashed}-wal`).size;
    const second = openForWriting({ ...settings, file: crashed });
    expect(statSync(`${crashed}-wal`).size).toBeLessThan(frames);
    expect(readFileSync(crashed).includes("open_attemptsopen_attempts")).toBe(true);
    expect(second.db.prepare("SELECT order_id FROM open_attempts").all()).toEqual([{ order_id: "a" }]);
    second.db.close();
    second.lock?.close();
  });

  test("that is a directory, or is to be in what is none, is refused", async () => {
    mkdirSync(file);
    expect(await refusal(file)).toBe("it is a directory");
    const plain = join(directory, "plain");
    writeFileSync(plain, "x");
    expect(await refusal(join(plain, "orders.db"))).toMatch(/^its directory cannot be made \(E(EXIST|NOTDIR)\)$/);
  });

  test.skipIf(process.platform !== "linux").each([
    ["/proc/x/y.db", /^its directory cannot be made \(ENOENT\)$/],
    ["/proc/x/y/z.db", /^its directory cannot be made \(ENOENT\)$/],
    ["/dev/null/orders.db", /^its directory cannot be made \(E(EXIST|NOTDIR)\)$/],
  ])("%s, where no directory can be made, is refused at once", async (path, reason) => {
    expect(await refusal(path)).toMatch(reason);
  });

  test("whose name is a link in a circle is refused", async () => {
    symlinkSync(file, `${file}.other`);
    symlinkSync(`${file}.other`, file);
    expect(await refusal(file)).toBe("its name leads nowhere (ELOOP)");
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

  test.each([
    ["that was cut short", () => truncateSync(file, statSync(file).size - 8_192)],
    ["whose schema is gone", () => writeFileSync(file, readFileSync(file).fill(0xa5, 100, 4_096))],
  ])("%s is refused", async (_what, damage) => {
    await filled();
    damage();
    expect(await refusal(file)).toMatch(/^it is damaged/);
  });
});

describe("the schema's number", () => {
  const NEWER = MIGRATIONS.length + 1;

  test.each([
    [
      "a newer version",
      filled,
      `PRAGMA user_version = ${NEWER}`,
      `it has schema ${NEWER}, written by a newer version; this one knows up to ${MIGRATIONS.length}`,
    ],
    ["another application's database", () => {}, "CREATE TABLE customers (id)", "it is not a journal: a SQLite database of something else"],
  ])("of %s is refused, and the file stays as it is", async (_what, fill, sql, reason) => {
    await fill();
    const db = new DatabaseSync(file);
    db.exec(sql);
    db.close();
    const before = readFileSync(file);
    expect(await refusal(file)).toBe(reason);
    expect(readFileSync(file)).toEqual(before);
  });
});

describe("a second process", () => {
  // Nobody lets go in these tests. That the wait there is lasts is what "a moment before the first lets go" is about.
  const AT_ONCE = { lockWaitMs: 20 };

  /** Holds the journal open until it is asked to release it. */
  async function holder() {
    const child = spawn(process.execPath, [join(import.meta.dirname, "holder-child.ts"), file], { stdio: ["pipe", "pipe", "inherit"] });
    await once(child.stdout, "data");
    return child;
  }

  test("that comes a moment before the first lets go waits for it", async () => {
    const child = await holder();
    const opened = Journal.open(file);
    const exited = once(child, "exit");
    setTimeout(() => child.stdin.end(), 400);
    await (await opened).close();
    await exited;
  });

  test("is refused while the first has the file, under whatever name it knows it; after its death the next has it", async () => {
    const links = { link: ".", "a.db": "orders.db", "c.db": "b.db", "b.db": "orders.db" };
    for (const [link, target] of Object.entries(links)) symlinkSync(target, join(directory, link));
    const names = ["orders.db", "link/orders.db", "a.db", "c.db"];
    const child = await holder();
    try {
      for (const name of names) expect(await refusal(join(directory, name), AT_ONCE)).toBe("another process has it open");
    } finally {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    // A name that does not lead anywhere yet is the same lock too.
    for (const name of names) {
      rmSync(file);
      const first = await Journal.open(join(directory, name));
      expect(await refusal(file, AT_ONCE)).toBe("another process has it open");
      await first.close();
      expect(statSync(file).size).toBeGreaterThan(0);
    }
  });

  test("that writes by hand for a moment delays a write, for longer refuses it, and the journal is well again afterwards", async () => {
    await using at = await JournalFixture.open("file", { probeMs: 20 });
    using person = new DatabaseSync(at.file);
    person.exec("BEGIN IMMEDIATE");
    const delayed = at.accept("a");
    setTimeout(() => person.exec("COMMIT"), 100);
    expect(await delayed).toEqual({ type: "accepted", attempt: 1 });
    person.exec("BEGIN IMMEDIATE");
    let readsCameFirst = false;
    // Once is enough, but on a machine that stalls for longer than a write waits.
    for (let tries = 0; tries < 5 && !readsCameFirst; tries++) {
      const refused = at.accept("b");
      let isRefused = false;
      refused.catch(() => (isRefused = true));
      // Reads have a thread and a connection of their own: these are answered while the write waits for the lock. On the writer's thread
      // the first of them might come before the write, but not the others.
      for (let n = 0; n < 3; n++) {
        await nextTurn();
        expect(await at.journal.find("a")).toMatchObject({ orderId: "a" });
      }
      readsCameFirst = !isRefused;
      await expect(refused).rejects.toBeInstanceOf(JournalUnavailable);
      await expect(refused).rejects.toThrow(/^another process has it open/);
    }
    expect(readsCameFirst).toBe(true);
    expect(at.journal.healthy).toBe(false);
    expect(await at.journal.find("a")).toMatchObject({ orderId: "a" });
    person.exec("COMMIT");
    await eventually("healthy again", () => at.journal.healthy);
    expect(await at.accept("b")).toEqual({ type: "accepted", attempt: 1 });
  });

  test("that writes by hand for long holds up the first write for long, no further one, and afterwards one waits as before", async () => {
    await using at = await JournalFixture.open("file", { probeMs: 20 });
    // A second process waits its turn: the journal may just be writing what it does by itself.
    using person = new DatabaseSync(at.file, { timeout: 10_000 });
    const refusedAfterMs = async (id: string) => {
      const startMs = performance.now();
      await expect(at.accept(id)).rejects.toThrow(/^another process has it open/);
      return performance.now() - startMs;
    };
    person.exec("BEGIN IMMEDIATE");
    const firstMs = await refusedAfterMs("a");
    // The quickest of some: the machine may stall.
    const laterMs = [await refusedAfterMs("b"), await refusedAfterMs("c"), await refusedAfterMs("d")];
    expect(Math.min(...laterMs)).toBeLessThan(firstMs / 2);
    person.exec("COMMIT");
    expect(await at.accept("e")).toEqual({ type: "accepted", attempt: 1 });
    person.exec("BEGIN IMMEDIATE");
    const delayed = at.accept("f");
    setTimeout(() => person.exec("COMMIT"), 400);
    expect(await delayed).toEqual({ type: "accepted", attempt: 1 });
  });
});
