import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify, stripVTControlCharacters } from "node:util";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FaultLog } from "../src/fault-log.ts";
import { logForPeople, TerminalLog } from "../src/terminal-log.ts";
import { wantsColors, welcome } from "../src/welcome.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("the log of faults", () => {
  class DiskFull extends Error {}
  class VeryFull extends DiskFull {}
  // biome-ignore lint/suspicious/noExplicitAny: lines whose shape is what is tested.
  let lines: any[];
  let faults: FaultLog;
  beforeEach(() => {
    lines = [];
    const log = pino({ level: "info" }, { write: (line: string) => void lines.push(JSON.parse(line)) });
    faults = new FaultLog({ log, expected: [DiskFull] });
  });

  const reported = () => lines.map(({ msg, count }) => (count === undefined ? msg : `${msg} ${count}`));

  test("a fault is logged at once, as an error with its stack and fields", () => {
    faults.report("request failed", new TypeError("x is no function"), { request_id: "r", order_id: "o" });
    expect(lines).toMatchObject([
      { level: 50, msg: "request failed", request_id: "r", order_id: "o", err: { message: "x is no function" } },
    ]);
    expect(lines[0].err.stack).toContain("log.test.ts");
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
    expect(lines.reduce((sum, { count = 1 }) => sum + count, 0)).toBe(30_000);
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
    const timers = () => process.getActiveResourcesInfo().filter((what) => what === "Timeout").length;
    const faults = new FaultLog({ log: { error() {} }, expected: [] });
    faults.report("refused", new Error("full"));
    console.log(timers(), setTimeout(() => {}, 1).hasRef(), timers());`;
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module-typescript", "-e", script], { timeout: 25_000 });
    expect(stdout).toBe("0 true 1\n");
  });
});

describe("the log of a terminal", () => {
  /** A log, with what it has written since one looked last; without the time of each line. */
  function terminal() {
    const written: string[] = [];
    const log = new TerminalLog({ colors: false, write: (text) => written.push(text.trimEnd().replace(/^\[[\d:.]+\] \w+: /, "")) });
    return { log, since: () => written.splice(0) };
  }

  const line = (fields: object) => JSON.stringify({ level: 30, time: Date.now(), pid: 1, hostname: "shop-1", ...fields });
  function orderLine(n: number, kind?: string): string {
    const steps = [{ name: "payment", status: kind === undefined ? "ok" : "error", ...(kind && { detail: kind }), duration_ms: n }];
    return line({ order_id: `order-${n}`, attempt: 1, duration_ms: n, ...(kind && { kind }), steps, msg: "order ended" });
  }

  test("orders that end in the same way within a second are one line and a number, with the page's address", () => {
    const { log, since } = terminal();
    log.page = "http://127.0.0.1:9090/";
    for (let n = 1; n <= 2_000; n++) log.write(orderLine(n, "payment_declined"));
    log.write(orderLine(7));
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
    const lines = [
      orderLine(1),
      orderLine(2, "timeout"),
      line({ level: 40, thread: 3, msg: "a thread was replaced" }),
      line({ msg: "draining" }),
    ];
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
});

describe("what people read", () => {
  const HEAD = { level: 30, time: 0, pid: 1, hostname: "shop-1", node: "shop-1" };
  const forReading = (line: string) => logForPeople({ colors: false })(line).text;

  test("the line of an order says in words how it and its steps ended", () => {
    const order = {
      ...HEAD,
      order_id: "second",
      attempt: 1,
      request_id: "9f0c",
      status: "error",
      kind: "payment_declined",
      canceled: "sibling_failed",
      duration_ms: 154,
      steps: [
        { name: "payment", status: "error", detail: "payment_declined", duration_ms: 153, thread: 2 },
        { name: "courier", status: "ok", duration_ms: 102, thread: 2 },
      ],
      msg: "order ended",
    };
    const words = "payment_declined after 154 ms (payment payment_declined 153 ms, courier ok 102 ms)";
    expect(forReading(JSON.stringify(order))).toMatch(/^\[[\d:.]+\] INFO: /);
    expect(forReading(JSON.stringify(order))).toContain(`INFO: order second: ${words}\n`);
    const again = { ...order, attempt: 3 };
    expect(forReading(JSON.stringify(again))).toContain(`INFO: order second (attempt 3): ${words}\n`);
    const { kind: _, ...placed } = { ...order, duration_ms: 200, steps: order.steps.slice(1) };
    expect(forReading(JSON.stringify(placed))).toContain("INFO: order second: ok after 200 ms (courier ok 102 ms)\n");
  });

  test("any other line is one line too, with all its fields but those of the process", () => {
    const line = forReading(JSON.stringify({ ...HEAD, level: 40, thread: 3, nested: { step: "vendor" }, msg: "a thread was replaced" }));
    expect(line).toMatch(/^\[[\d:.]+\] WARN: a thread was replaced \{"thread":3,"nested":\{"step":"vendor"\}\}\n$/);
  });

  const STARTED = { api: "http://127.0.0.1:1234", admin: "http://127.0.0.1:5678", tookMs: 412 };

  test("the page comes first, then the API, how long it took and what to try", () => {
    const text = welcome(STARTED, { colors: false });
    expect(text).toMatch(/^order pipeline is up after 0\.41 s\n/);
    const urls = [...text.matchAll(/http:\S+/g)].map(([url]) => url);
    expect(urls.slice(0, 2)).toEqual(["http://127.0.0.1:5678/", "http://127.0.0.1:1234"]);
    expect(text).toContain(`try    curl -s http://127.0.0.1:1234/order -d '{"order_id":"first","amount":1200}'\n`);
    expect(text).not.toContain("\u001b");
  });

  describe("a terminal wants colors", () => {
    test.each([
      [{}, true],
      [{ TERM: "xterm" }, true],
      [{ NO_COLOR: "" }, true],
      [{ NO_COLOR: "0" }, false],
      [{ TERM: "dumb" }, false],
    ])("%j: %s", (environment, wanted) => {
      expect(wantsColors(environment)).toBe(wanted);
    });
  });

  test("colors change nothing but the looks", () => {
    const line = JSON.stringify({ ...HEAD, signal: "SIGINT", msg: "draining" });
    for (const [colored, plain] of [
      [logForPeople({ colors: true })(line).text, forReading(line)],
      [welcome(STARTED, { colors: true }), welcome(STARTED, { colors: false })],
    ] as const) {
      expect(colored).toContain("\u001b[");
      expect(stripVTControlCharacters(colored)).toBe(plain);
    }
  });
});
