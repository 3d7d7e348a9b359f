import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { TerminalLog } from "../src/terminal-log.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A log, with what it has written since one looked last; without the time of each line. */
function terminal() {
  let written: string[] = [];
  const log = new TerminalLog({ colors: false, write: (text) => written.push(text.trimEnd().replace(/^\[[\d:.]+\] \w+: /, "")) });
  const since = () => {
    const lines = written;
    written = [];
    return lines;
  };
  return { log, since };
}

const line = (fields: object) => JSON.stringify({ level: 30, time: Date.now(), pid: 1, hostname: "shop-1", ...fields });
function order(n: number, kind?: string): string {
  const steps = [{ name: "payment", status: kind === undefined ? "ok" : "error", ...(kind && { detail: kind }), duration_ms: n }];
  return line({ order_id: `order-${n}`, attempt: 1, duration_ms: n, ...(kind && { kind }), steps, msg: "order ended" });
}

test("orders that end in the same way within a second are one line and a number, with the page's address", () => {
  const { log, since } = terminal();
  log.page = "http://127.0.0.1:9090/";
  for (let n = 1; n <= 2_000; n++) log.write(order(n, "payment_declined"));
  log.write(order(7));
  expect(since()).toEqual([
    "order order-1: payment_declined after 1 ms (payment payment_declined 1 ms)",
    "order order-7: ok after 7 ms (payment ok 7 ms)",
  ]);
  vi.advanceTimersByTime(999);
  expect(since()).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(since()).toEqual(["... 1 999 more like order order-1 within a second; page http://127.0.0.1:9090/"]);
  vi.advanceTimersByTime(60_000);
  expect(since()).toEqual([]);
});

test("lines a second apart, of other orders or with another message, and errors that differ, are all written", () => {
  const { log, since } = terminal();
  const lines = [order(1), order(2, "timeout"), line({ level: 40, thread: 3, msg: "a thread was replaced" }), line({ msg: "draining" })];
  for (const thread of [1, 2]) lines.push(line({ level: 50, thread, msg: "a fault" }));
  for (const one of lines) log.write(one);
  expect(since()).toHaveLength(lines.length);
  vi.advanceTimersByTime(1_000);
  expect(since()).toEqual([]);
  for (const one of lines) log.write(one);
  expect(since()).toHaveLength(lines.length);
});

test("at the end of the process what was left out is told at once", () => {
  const { log, since } = terminal();
  for (const thread of [1, 2, 3]) log.write(line({ level: 40, thread, msg: "a thread was replaced" }));
  since();
  log.flush();
  expect(since()).toEqual(['... 2 more like "a thread was replaced" within a second']);
  log.flush();
  vi.advanceTimersByTime(1_000);
  expect(since()).toEqual([]);
});
