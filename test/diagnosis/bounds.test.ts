import { once } from "node:events";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
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
  expect(recorder.recordings).toBe(0);

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
  expect(recorder.recordings).toBe(1);
  out.destroy();
  await once(out, "close");
  expect(recorder.recordings).toBe(0);
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
  expect(recorder.recordings).toBe(0);
});
