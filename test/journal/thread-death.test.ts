import { renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { answerTo, FAR, JournalFixture, keyOf, NOW, pending } from "./journal-fixture.ts";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Counts what has come of some promises. */
function watch(promises: readonly Promise<unknown>[]) {
  const settled: unknown[] = [];
  for (const promise of promises) void promise.then(settled.push.bind(settled), settled.push.bind(settled));
  return settled;
}

const CASES = [
  ["file", "writer"],
  ["file", "reader"],
] as const;

describe.each(CASES)("journal in a %s, its %s dies", (kind, role) => {
  test("idle: that is fatal, once; whatever is asked from then on never settles; a close ends", async () => {
    const fatal: string[] = [];
    const at = await JournalFixture.open(kind, { onFatal: (reason) => fatal.push(reason) });
    await at.accept("a");
    at.journal.killThread(role);
    await eventually("word of it", () => fatal.length > 0);
    expect(fatal).toEqual([expect.stringMatching(/^the journal's thread ended \(.+\)$/)]);
    const settled = watch([at.accept("a"), at.journal.find("a"), at.finish("a"), at.journal.backup(`${at.file}.copy`)]);
    at.journal.killThread(role);
    await pause(60);
    expect(settled).toEqual([]);
    await at[Symbol.asyncDispose]();
    expect(fatal).toHaveLength(1);
    expect(settled).toEqual([]);
  });

  test("under load: what was answered is there, nothing more is answered, a close ends", async () => {
    const fatal: string[] = [];
    let settledAtDeath = -1;
    let settled = 0;
    await using at = await JournalFixture.open(kind, {
      events: true,
      onFatal(reason) {
        fatal.push(reason);
        settledAtDeath = settled;
      },
    });
    const placed: string[] = [];
    const failed: string[] = [];
    // Each ends when the journal answers no more.
    const client = async (name: number) => {
      for (let n = 0; ; n++) {
        const orderId = `${name}-${n}`;
        expect(await at.accept(orderId, 1, keyOf(orderId))).toEqual({ type: "accepted", attempt: 1 });
        settled++;
        const error = n % 2 === 0 ? undefined : "timeout";
        await at.finish(orderId, error === undefined ? {} : { error, compensations: [pending("payment")] });
        settled++;
        (error === undefined ? placed : failed).push(orderId);
        await at.journal.find(orderId);
        settled++;
      }
    };
    const ends = watch(Array.from({ length: 50 }, (_, name) => client(name)));
    await eventually("some load", () => placed.length > 200 && failed.length > 200);
    at.journal.killThread(role);
    await eventually("word of it", () => fatal.length > 0);
    await pause(60);
    expect(settled).toBe(settledAtDeath);
    expect(ends).toEqual([]);
    expect(fatal).toHaveLength(1);
    await at.restart({ events: true });
    while ((await at.journal.closeInterrupted(1_000, NOW)) > 0);
    for (const orderId of placed) {
      expect(await at.accept(orderId, 1, keyOf(orderId))).toEqual({ type: "replayed", answer: answerTo(orderId) });
    }
    for (const orderId of failed) {
      expect(await at.accept(orderId, 1, keyOf(orderId))).toEqual({ type: "replayed", answer: answerTo(orderId, "timeout") });
    }
    const due = new Set((await at.take("payment", FAR)).map(({ orderId }) => orderId));
    for (const orderId of failed) expect(due).toContain(orderId);
    for (const orderId of placed) expect(due).not.toContain(orderId);
  });

  test("while a close is under way: it ends", async () => {
    await using at = await JournalFixture.open(kind, { onFatal() {} });
    for (let n = 0; n < 50; n++) void at.accept(`o${n}`);
    const closed = at.journal.close();
    at.journal.killThread(role);
    await closed;
  });
});

test("the reader dies while a close waits for its backup: the close ends", async () => {
  await using at = await JournalFixture.open("file", { onFatal() {} });
  at.journal.backup(`${at.file}.copy`).catch(() => {});
  // It is under way from the next turn on.
  await new Promise<void>((resolve) => setImmediate(resolve));
  const closed = at.journal.close();
  at.journal.killThread("reader");
  await closed;
});

test("without `onFatal` a loss is an uncaught error, whoever noticed it", async () => {
  const others = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  try {
    const uncaught = Promise.withResolvers<unknown>();
    process.once("uncaughtException", uncaught.resolve);
    await using at = await JournalFixture.open("file");
    const settled = watch([at.accept("a")]);
    await new Promise<void>((resolve) => setImmediate(resolve));
    at.journal.killThread();
    expect(await uncaught.promise).toMatchObject({ message: expect.stringMatching(/^the journal is lost: the journal's thread ended/) });
    await pause(20);
    expect(settled).toEqual([]);
  } finally {
    for (const listener of others) process.on("uncaughtException", listener);
  }
});

test("a thread that dies while the journal is opened fails the start with its own reason", async () => {
  process.once("worker", (worker) => void worker.terminate());
  await expect(JournalFixture.open("file")).rejects.toThrow("the journal's thread ended");
});

const onWindows = process.platform === "win32";

const ACCIDENTS: Readonly<Record<string, (file: string) => void>> = {
  "is removed": (file) => rmSync(file),
  "is moved away": (file) => renameSync(file, `${file}.old`),
  "is replaced": (file) => {
    rmSync(file);
    writeFileSync(file, "");
  },
};
const cases = ["", "-wal", "-shm", ".lock"].flatMap((suffix) => Object.keys(ACCIDENTS).map((accident) => ({ suffix, accident })));

// Windows does not let anybody remove a file that is open.
test.skipIf(onWindows).each(cases)(
  "orders.db$suffix $accident under a running journal: that is fatal, and nothing is answered any more",
  async ({ suffix, accident }) => {
    const fatal: string[] = [];
    await using at = await JournalFixture.open("file", { onFatal: (reason) => fatal.push(reason) });
    await at.run("before");
    ACCIDENTS[accident]?.(`${at.file}${suffix}`);
    const answered: unknown[] = [];
    void at.accept("after").then(answered.push.bind(answered), answered.push.bind(answered));
    await eventually("word of it", () => fatal.length > 0);
    expect(fatal).toEqual([expect.stringMatching(new RegExp(`orders\\.db${suffix} was removed or replaced$`))]);
    expect(answered).toEqual([]);
  },
);

test.skipIf(onWindows)("the log is removed: what was answered is brought into the database", async () => {
  const fatal: string[] = [];
  await using at = await JournalFixture.open("file", { onFatal: (reason) => fatal.push(reason) });
  for (let n = 0; n < 20; n++) await at.run(`order ${n}`);
  rmSync(`${at.file}-wal`);
  void at.accept("after");
  await eventually("word of it", () => fatal.length > 0);
  await at.restart({});
  for (let n = 0; n < 20; n++) expect(await at.journal.find(`order ${n}`)).toMatchObject({ attemptsTotal: 1 });
});

test.skipIf(onWindows)(
  "an error that the writer does not expect, such as a directory that leads to itself, is fatal with its reason",
  async () => {
    const fatal: string[] = [];
    await using at = await JournalFixture.open("file", { onFatal: (reason) => fatal.push(reason) });
    const moved = `${at.directory}.old`;
    renameSync(at.directory, moved);
    try {
      symlinkSync(at.directory, at.directory);
      const answered: unknown[] = [];
      void at.accept("after").then(answered.push.bind(answered), answered.push.bind(answered));
      await eventually("word of it", () => fatal.length > 0);
      expect(fatal).toEqual([expect.stringMatching(/^the journal's thread ended \(ELOOP: .+\)$/)]);
      expect(answered).toEqual([]);
    } finally {
      rmSync(moved, { recursive: true });
    }
  },
);
