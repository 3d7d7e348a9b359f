import { once } from "node:events";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { TraceRecorder } from "../../src/diagnosis/trace-recorder.ts";
import type { EndedOrder } from "../../src/orders/ended-order.ts";
import type { EndedStep } from "../../src/orders/step.ts";
import { STEPS } from "../../src/orders/steps.ts";
import { monotonicMs } from "../../src/threads/index.ts";
import { type CheckedEvent, offencesIn } from "./trace-format.ts";

const THREADS = [
  { id: 1, pool: "shared" },
  { id: 2, pool: "exclusive" },
];

/** An order that has just ended, `ms` after its begin, with these ends of its steps. */
function order(
  id: string,
  ms: number,
  ends: readonly Partial<EndedStep>[] = [{}, {}, {}],
  more: Partial<EndedOrder["outcome"]> = {},
): EndedOrder {
  const endedAtMs = monotonicMs();
  const startedAtMs = endedAtMs - ms;
  const steps = STEPS.map((name, n) => {
    const ok = { status: "ok" } as const;
    return { name, outcome: ok, durationMs: ms, startedAtMs, endedAtMs, threadId: 1, ...ends[n] };
  });
  return {
    input: { orderId: id, amount: 1, attempt: 1 },
    requestId: undefined,
    receivedAtMs: startedAtMs,
    parentSpanId: undefined,
    outcome: { steps, startedAtMs, ...more },
    compensations: [],
    storedAtMs: endedAtMs,
  };
}

const FAILED = { outcome: { status: "failed", kind: "vendor_unavailable", effect: "none" } } as const;

async function traceOf(out: PassThrough): Promise<{ events: CheckedEvent[]; otherData: Record<string, number> }> {
  const trace = JSON.parse(await text(out));
  expect(offencesIn(trace)).toEqual([]);
  return { events: trace.traceEvents, otherData: trace.otherData };
}

const ordersOf = (events: readonly CheckedEvent[]) =>
  events.filter(({ ph, name }) => ph === "b" && name === "order").map(({ args }) => args.order_id);

test("a trace that would grow too large leaves placed orders out, says how many, and keeps room for those that failed and for its end", async () => {
  const recorder = new TraceRecorder(2_000);
  const out = new PassThrough();
  recorder.record(out, 60, () => THREADS);
  const trace = traceOf(out);
  for (let n = 0; n < 3_000; n++) {
    recorder.ended(order(`placed ${n}`, 10));
    if (n % 100 === 0) await turn();
  }
  recorder.ended(order("failed", 10, [{}, FAILED], { error: "vendor_unavailable" }));
  recorder.close();
  const { events, otherData } = await trace;
  const shown = ordersOf(events);
  expect(shown).toContain("placed 0");
  expect(shown.at(-1)).toBe("failed");
  expect(otherData).toMatchObject({
    orders: shown.length,
    orders_left_out: 3_001 - shown.length,
    max_events: 2_000,
    events: events.length,
  });
  // A tenth of the room, and the rest is for later.
  expect(events.length).toBeGreaterThan(100);
  expect(events.length).toBeLessThan(1_500);
  expect(events.at(-1)).toMatchObject({ ph: "i", s: "g", name: `trace ends: ${otherData.orders_left_out} orders had no room in it` });
  expect(recorder.isRecording).toBe(false);

  const failing = new PassThrough();
  recorder.record(failing, 60, () => THREADS);
  const full = traceOf(failing);
  for (let n = 0; n < 1_000; n++) recorder.ended(order(`failed ${n}`, 10, [{}, FAILED], { error: "vendor_unavailable" }));
  for (let n = 0; n < 1_000; n++) recorder.replaced({ id: 3 + n, pool: "shared" }, "grace");
  recorder.close();
  const { events: all } = await full;
  expect(all.length).toBeGreaterThan(1_900);
  expect(all.length).toBeLessThanOrEqual(2_000);
});

test("a client that reads slowly makes nothing pile up", async () => {
  const recorder = new TraceRecorder();
  const out = new PassThrough({ highWaterMark: 1 });
  recorder.record(out, 60, () => THREADS);
  await turn();
  // As many as the trace itself had room for, more than may wait.
  for (let n = 0; n < 20_000; n++) recorder.ended(order(`o-${n}`, 10, [{}, FAILED], { error: "vendor_unavailable" }));
  for (let n = 0; n < 20; n++) await turn();
  // One piece of text at most waits to be read.
  expect(out.writableLength + out.readableLength).toBeLessThan(1_000_000);
  recorder.close();
  const { events, otherData } = await traceOf(out);
  expect(ordersOf(events).length).toBe(otherData.orders);
  expect(otherData.orders_left_out).toBeGreaterThan(10_000);
  expect((otherData.orders ?? 0) + (otherData.orders_left_out ?? 0)).toBe(20_000);
});

test("a client that hangs up while it reads slowly ends its recording", async () => {
  const recorder = new TraceRecorder();
  const out = new PassThrough({ highWaterMark: 1 });
  recorder.record(out, 60, () => THREADS);
  await turn();
  for (let n = 0; n < 1_000; n++) recorder.ended(order(`o-${n}`, 10));
  recorder.close();
  expect(recorder.isRecording).toBe(true);
  out.destroy();
  await once(out, "close");
  expect(recorder.isRecording).toBe(false);
});

const LONG_MS = 60_000;

test("more steps at one time than a thread has tracks are in the trace, and so is a cancel among them", {
  tags: ["three-steps"],
}, async () => {
  const recorder = new TraceRecorder();
  const out = new PassThrough();
  recorder.record(out, 60, () => THREADS);
  const trace = traceOf(out);
  const begin = monotonicMs();
  // All begin long before the first ends, however slow the machine is.
  for (let n = 0; n < 100; n++) recorder.ended(order(`o-${n}`, monotonicMs() - begin + LONG_MS));
  const atMs = monotonicMs();
  const canceled = { outcome: { status: "canceled", cause: "deadline", effect: "none" }, endedAtMs: atMs + 1 } as const;
  // One on a thread without a free track, one on its own thread, and one that never came to any.
  recorder.ended(
    order("late", LONG_MS, [canceled, { ...canceled, threadId: 2 }, { ...canceled, threadId: undefined, startedAtMs: undefined }], {
      error: "timeout",
      canceled: { cause: "deadline", atMs },
    }),
  );
  recorder.close();
  const { events } = await trace;
  const slices = events.filter(({ ph }) => ph === "X");
  expect(slices.length).toBe(200 + 1);
  expect(events.filter(({ ph, cat }) => ph === "b" && cat === "waiting").length).toBe(101);
  expect(events.filter(({ ph, name }) => ph === "b" && name === "courier waits to start").map(({ args }) => args.order_id)).toEqual([
    "late",
  ]);
  const arrows = events.filter(({ ph }) => ph === "f").map(({ args }) => [args.step, args.took_us]);
  expect(arrows).toEqual([
    ["payment", 1000],
    ["vendor", 1000],
    ["courier", 1000],
  ]);
});

test("without a recording nothing is kept", () => {
  const recorder = new TraceRecorder();
  const seen = new Proxy(order("o", 1), {
    get() {
      throw new Error("was looked at");
    },
  });
  recorder.ended(seen);
  recorder.replaced({ id: 1, pool: "shared" }, "grace");
  expect(recorder.isRecording).toBe(false);
});

const NAMED = [
  { ph: "M", name: "process_name", pid: 7, tid: 1, args: { name: "p" } },
  { ph: "M", name: "thread_name", pid: 7, tid: 1, args: { name: "shared 1" } },
  { ph: "M", name: "thread_sort_index", pid: 7, tid: 1, args: { sort_index: 3 } },
];
const AT = { cat: "c", pid: 7, tid: 1 };
const X = { ...AT, ph: "X", name: "x", ts: 10, dur: 10 };
const B = { ...AT, ph: "b", name: "a", id: "0x1", ts: 1 };
const E = { ...B, ph: "e", ts: 5 };
const I = { ...AT, ph: "i", name: "i", s: "t", ts: 30 };
const S = { ...AT, ph: "s", name: "f", id: "0x2", ts: 19 };
const F = { ...S, ph: "f", bp: "e", ts: 30 };
const GOOD = [X, { ...X, ts: 12, dur: 8 }, { ...X, ts: 20, dur: 0 }, B, { ...B, id: "0x5" }, E, { ...E, id: "0x5", ts: 9 }, I, S, F];

const withNames = (...events: object[]) => ({ traceEvents: [...NAMED, ...events] });
const without = (event: object, field: string) => Object.fromEntries(Object.entries(event).filter(([name]) => name !== field));

describe("the check of the trace-event format", () => {
  test("has nothing against a good trace", () => {
    expect(offencesIn(withNames(...GOOD))).toEqual([]);
    expect(offencesIn(withNames())).toEqual([]);
  });

  test.each([
    ...GOOD.flatMap((event) => ["ph", "name", "cat", "pid", "tid", "ts"].map((field) => [event.ph, field, event] as const)),
    ...(
      [
        [X, "dur"],
        [B, "id"],
        [E, "id"],
        [I, "s"],
        [S, "id"],
        [F, "id"],
        [F, "bp"],
      ] as const
    ).map(([event, field]) => [event.ph, field, event] as const),
    ...NAMED.flatMap((event) => ["ph", "name", "pid", "tid", "args"].map((field) => [event.ph, field, event] as const)),
  ])("misses what its phase demands of an event: %s without %s", (_ph, field, event) => {
    expect(offencesIn(withNames(...GOOD, without(event, field)))).not.toEqual([]);
  });

  test.each([
    ["no object", null],
    ["no list of events", { traceEvents: {} }],
    ["an event that is none", withNames(null as never)],
    ["a time below zero", withNames({ ...X, ts: -1 })],
    ["a length below zero", withNames({ ...X, dur: -1 })],
    ["part of a microsecond", withNames({ ...X, ts: 1.5 })],
    ["track 0", withNames({ ...X, tid: 0 })],
    ["a track without a name", withNames({ ...X, tid: 2 })],
    ["a process without a name", { traceEvents: NAMED.slice(1) }],
    ["a name that is none", { traceEvents: [...NAMED, { ...NAMED[1], args: { name: 3 } }] }],
    ["slices in each other's way", withNames(X, { ...X, ts: 19 })],
    ["slices in each other's way within a third", withNames({ ...X, ts: 0, dur: 100 }, X, { ...X, ts: 19 })],
    ["a slice without an end", withNames(B)],
    ["an end without a slice", withNames(E)],
    ["an end before its begin", withNames(B, { ...E, ts: 0 })],
    ["an end of another slice", withNames(B, { ...E, id: "0x3" })],
    ["a slice that begins twice", withNames(B, B, E)],
    ["an arrow without an end", withNames(X, I, S)],
    ["an arrow without a begin", withNames(X, I, F)],
    ["an arrow with two ends", withNames(X, I, S, F, F)],
    ["an arrow that points back", withNames(X, { ...I, ts: 11 }, S, { ...F, ts: 11 })],
    ["an arrow from nowhere", withNames(X, I, { ...S, ts: 25 }, F)],
    ["an arrow into nothing", withNames(X, S, F)],
  ])("finds %s", (_, trace) => {
    expect(offencesIn(trace)).not.toEqual([]);
  });
});
