import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FaultLog } from "../src/fault-log.ts";

class DiskFull extends Error {}
class VeryFull extends DiskFull {}

// biome-ignore lint/suspicious/noExplicitAny: lines whose shape is what is tested.
let lines: any[];
let faults: FaultLog;
beforeEach(() => {
  vi.useFakeTimers();
  lines = [];
  const log = pino({ level: "info" }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  faults = new FaultLog({ log, expected: [DiskFull] });
});
afterEach(() => {
  vi.useRealTimers();
});

const reported = () => lines.map(({ msg, count }) => (count === undefined ? msg : `${msg} ${count}`));

test("a fault is logged at once, as an error with its stack and fields", () => {
  faults.report("request failed", new TypeError("x is no function"), { request_id: "r", order_id: "o" });
  expect(lines).toMatchObject([{ level: 50, msg: "request failed", request_id: "r", order_id: "o", err: { message: "x is no function" } }]);
  expect(lines[0].err.stack).toContain("fault-log.test.ts");
  expect(lines[0]).not.toHaveProperty("count");
});

test("an expected one has no stack", () => {
  faults.report("order refused", new DiskFull("the disk is full"), { order_id: "o" });
  faults.report("order refused", new VeryFull("the disk is very full"));
  expect(lines).toMatchObject([{ order_id: "o", reason: "the disk is full" }, { reason: "the disk is very full" }]);
  for (const line of lines) expect(JSON.stringify(line)).not.toContain("stack");
});

test("equal ones that follow are counted, and reported in one line a second with the newest one's fields", () => {
  for (let n = 1; n <= 1_000; n++) faults.report("refused", new DiskFull("full"), { request_id: `r${n}` });
  expect(reported()).toEqual(["refused"]);
  vi.advanceTimersByTime(999);
  expect(lines).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(lines).toMatchObject([{ request_id: "r1" }, { request_id: "r1000", count: 999, reason: "full" }]);
});

test("as long as they go on there is one line a second, and afterwards none", () => {
  for (let tenths = 0; tenths < 30; tenths++) {
    faults.report("refused", new Error("full"));
    vi.advanceTimersByTime(100);
  }
  expect(reported()).toEqual(["refused", "refused 9", "refused 10", "refused 10"]);
  vi.advanceTimersByTime(60_000);
  expect(lines).toHaveLength(4);
  expect(vi.getTimerCount()).toBe(0);
  faults.report("refused", new Error("full"));
  expect(reported().at(-1)).toBe("refused");
});

test("lines of threads are folded in the same way, under their own level", () => {
  for (let n = 0; n < 20; n++) faults.line("warn", "courier provider could not be reached", { order_id: `o${n}` });
  faults.line("debug", "not logged at this level", {});
  faults.line("error", "something else", { thread: 1 });
  vi.advanceTimersByTime(1_000);
  expect(lines).toMatchObject([
    { level: 40, msg: "courier provider could not be reached", order_id: "o0" },
    { level: 50, msg: "something else", thread: 1 },
    { level: 40, msg: "courier provider could not be reached", order_id: "o19", count: 19 },
  ]);
});

test("another message or another text is another fault", () => {
  faults.report("refused", new Error("full"));
  faults.report("refused", new Error("broken"));
  faults.report("failed", new Error("full"));
  faults.report("refused", "full");
  faults.report("refused", undefined);
  faults.report("refused", Object.create(null));
  expect(lines).toHaveLength(6);
});

test("faults that are all different are no flood either", () => {
  for (let second = 0; second < 3; second++) {
    for (let n = 0; n < 10_000; n++) faults.report("failed", new Error(`order ${second}-${n}`));
    vi.advanceTimersByTime(1_000);
  }
  expect(lines.length).toBeLessThan(3 * 110);
  const counts = lines.reduce((sum, { count = 1 }) => sum + count, 0);
  expect(counts).toBe(30_000);
  vi.advanceTimersByTime(2_000);
  expect(vi.getTimerCount()).toBe(0);
});

test("close tells what is left and leaves no timer", () => {
  for (let n = 0; n < 3; n++) faults.report("refused", new Error("full"));
  faults.close();
  expect(reported()).toEqual(["refused", "refused 2"]);
  expect(vi.getTimerCount()).toBe(0);
});

test("no count keeps the process alive", async () => {
  const module = fileURLToPath(new URL("../src/fault-log.ts", import.meta.url));
  const script = `
    import { FaultLog } from ${JSON.stringify(module)};
    const faults = new FaultLog({ log: { error() {} }, expected: [], windowMs: 2 ** 30 });
    faults.report("refused", new Error("full"));`;
  await promisify(execFile)(process.execPath, ["--input-type=module-typescript", "-e", script], { timeout: 25_000 });
});
