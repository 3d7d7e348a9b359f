import { afterEach, expect, test, vi } from "vitest";
import { Journal } from "../../src/journal/journal.ts";
import { JournalOpenError } from "../../src/journal/journal-store.ts";
import { JournalUnavailable } from "../../src/orders/order-journal.ts";
import { recover } from "../../src/orders/recovery.ts";
import { osThreads, settleProcess } from "../leaks/counts.ts";
import { timers } from "../leaks/timers.ts";
import { eventually } from "../support/eventually.ts";
import { startService } from "../support/service.ts";

afterEach(() => void vi.restoreAllMocks());

test("attempts that a crash left open are closed page by page, until a page closes none", async () => {
  const pages = [500, 500, 3, 0];
  const limits: number[] = [];
  const closed = await recover({
    closeInterrupted: (limit) => {
      limits.push(limit);
      return Promise.resolve(pages.shift() ?? Number.NaN);
    },
  });
  expect(closed).toBe(1_003);
  expect(pages).toEqual([]);
  expect(Math.max(...limits)).toBeLessThanOrEqual(1_000);
});

test("a journal that cannot be written once it is open stops the start with one line, and nothing of the start is left", async () => {
  await settleProcess();
  const before = { osThreads: osThreads(), timers: timers() };
  vi.spyOn(Journal.prototype, "closeInterrupted").mockRejectedValue(new JournalUnavailable("the disk is full"));
  const started = startService().catch((error: unknown) => error);
  const error = await started;
  expect(error).toBeInstanceOf(JournalOpenError);
  expect((error as Error).message).toBe('JOURNAL="memory": the disk is full');
  expect(timers()).toBe(before.timers);
  await eventually("the threads to be gone", () => osThreads() === before.osThreads);
});
