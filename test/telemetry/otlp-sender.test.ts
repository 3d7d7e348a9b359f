import { expect, onTestFinished, test, vi } from "vitest";
import type { SpanData } from "../../src/orders/span-data.ts";
import { otlpSender } from "../../src/telemetry/otlp-sender.ts";
import { monotonicMs } from "../../src/threads/index.ts";
import { Collector } from "./collector.ts";

const HOUR_MS = 3_600_000;

test("times of a span are those of the wall clock, also after it was set; small steps do not move the spans of a trace apart", async () => {
  const realNow = Date.now.bind(Date);
  let aheadMs = 0;
  const now = vi.spyOn(Date, "now").mockImplementation(() => realNow() + aheadMs);
  onTestFinished(() => now.mockRestore());
  await using collector = await Collector.start();
  const sender = await otlpSender(collector.endpoint);
  onTestFinished(() => sender.close());
  const startedAtMs = monotonicMs();
  const beganAtMs = realNow();
  const span: SpanData = {
    name: "step",
    kind: "internal",
    traceId: "0af7651916cd43dd8448eb211c80319c",
    spanId: "b7ad6b7169203331",
    parentSpanId: undefined,
    startedAtMs,
    endedAtMs: startedAtMs + 250.125,
    attributes: {},
    error: undefined,
    events: [{ name: "stopped", atMs: startedAtMs + 100.5, attributes: {} }],
  };
  /** How far the span is from when it began, as the collector got it. */
  const offAfter = async (ms: number): Promise<number> => {
    aheadMs = ms;
    await sender.send([span]);
    const { startMs, endMs, events } = collector.spans.at(-1) ?? { startMs: 0, endMs: 0, events: [] };
    expect([endMs - startMs, (events[0]?.atMs ?? 0) - startMs]).toEqual([expect.closeTo(250.125, 2), expect.closeTo(100.5, 2)]);
    return startMs - beganAtMs;
  };

  const first = await offAfter(0);
  // The wall clock has whole milliseconds.
  expect(Math.abs(first)).toBeLessThan(5);
  expect(await offAfter(40)).toBe(first);
  expect(await offAfter(HOUR_MS)).toBeCloseTo(HOUR_MS, -1);
  expect(await offAfter(-HOUR_MS)).toBeCloseTo(-HOUR_MS, -1);
});
