import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Worker } from "node:worker_threads";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Journal } from "../../src/journal/journal.ts";
import { JournalOpenError } from "../../src/journal/journal-store.ts";
import { SqliteThread } from "../../src/journal/sqlite-thread.ts";
import { osThreads, settleProcess } from "../leaks/counts.ts";
import { eventually } from "../support/eventually.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "failed-open-"));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** The most threads while `work` ran, beyond those before it. When it has ended there are as many as before. */
async function threadsOf(work: () => Promise<void>): Promise<number> {
  await settleProcess();
  const before = osThreads() as number;
  let most = before;
  const looking = setInterval(() => (most = Math.max(most, osThreads() as number)), 1);
  try {
    await work();
  } finally {
    clearInterval(looking);
  }
  await eventually("the threads to end", osThreads, (now) => (now as number) <= before, 10_000);
  return most - before;
}

const onLinux = process.platform === "linux";

test.runIf(onLinux)("a journal that does not open leaves no thread", async () => {
  mkdirSync(join(directory, "orders.db"));
  const most = await threadsOf(async () => {
    for (let n = 0; n < 3; n++) await expect(Journal.open(join(directory, "orders.db"))).rejects.toBeInstanceOf(JournalOpenError);
  });
  expect(most).toBeGreaterThan(0);
});

test.runIf(onLinux)("a thread of a journal that cannot open the file ends", async () => {
  const file = join(directory, "orders.db");
  writeFileSync(file, "no database, and longer than the header of one, which is a hundred bytes".repeat(10));
  const settings = { file, role: "reader", events: false } as const;
  const most = await threadsOf(async () => {
    expect(await SqliteThread.start(settings, () => {})).toMatch(/database/);
  });
  expect(most).toBeGreaterThan(0);
});

test.runIf(onLinux)("one that waits for another to open the file ends with it, whether that one gives a reason or throws", async () => {
  const settings = { file: join(directory, "orders.db"), role: "reader", events: false } as const;
  const most = await threadsOf(async () => {
    expect(await SqliteThread.start(settings, () => {}, Promise.resolve("the disk is full"))).toBe("the disk is full");
    await expect(SqliteThread.start(settings, () => {}, Promise.reject(new Error("a bug")))).rejects.toThrow("a bug");
  });
  expect(most).toBeGreaterThan(0);
});

test.runIf(onLinux)("a journal whose reader ends while it starts leaves no thread, not the one that writes either", async () => {
  let workers = 0;
  const endSecond = (worker: Worker) => void (++workers === 2 && worker.terminate());
  process.on("worker", endSecond);
  try {
    const most = await threadsOf(async () => {
      await expect(Journal.open(join(directory, "orders.db"))).rejects.toThrow(/the journal's thread ended/);
    });
    expect(most).toBeGreaterThan(0);
  } finally {
    process.off("worker", endSecond);
  }
  // Nor does it keep the lock.
  await (await Journal.open(join(directory, "orders.db"))).close();
});
