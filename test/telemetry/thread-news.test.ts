import { expect, test } from "vitest";
import type { Observers } from "../../src/composition/observers.ts";
import { startStepThreads } from "../../src/composition/threads.ts";
import { readConfig } from "../../src/config.ts";
import type { SpanData } from "../../src/orders/span-data.ts";
import type { LogNews, SpansNews } from "../../src/telemetry/thread-news.ts";

const SPAN: SpanData = {
  name: "perform payment",
  kind: "internal",
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  parentSpanId: undefined,
  startedAtMs: 1.5,
  endedAtMs: 2.5,
  attributes: { "thread.id": 1, "step.name": "payment" },
  error: undefined,
  events: [{ name: "stopped", atMs: 2, attributes: { "cancel.cause": "deadline" } }],
};
const LINE: LogNews = { type: "log", level: "warn", message: "the provider answers slowly", fields: { thread: 1 } };
const spans = (...all: readonly unknown[]) => ({ type: "spans", spans: all });

const ANY = [null, undefined, true, {}, [], [null], new Map()];
const NO_TEXT = [...ANY, 1];
const NO_ID = [...NO_TEXT, "", "0", "B7AD6B7169203331", "b7ad6b716920333g", "b7ad6b7169203331b7ad6b71692033310"];
const NO_TIME = [...ANY, "1.5", Number.NaN, Number.POSITIVE_INFINITY, 1n];
const NO_ATTRIBUTES = [null, undefined, "text", 1, [], { a: null }, { a: {} }, { a: [1] }, { a: true }, { a: Number.NaN }];
const unless = (values: readonly unknown[], allowed: unknown) => values.filter((value) => value !== allowed);

/** What does not belong into each field. */
const WRONG_IN_SPANS: Readonly<Record<keyof SpanData, readonly unknown[]>> = {
  name: NO_TEXT,
  kind: [...NO_TEXT, "", "Internal", "toString"],
  traceId: NO_ID,
  spanId: [...NO_ID, SPAN.traceId],
  parentSpanId: unless(NO_ID, undefined),
  startedAtMs: NO_TIME,
  endedAtMs: NO_TIME,
  attributes: NO_ATTRIBUTES,
  error: unless(NO_TEXT, undefined),
  events: [null, undefined, "text", 1, {}, [null], ["stopped"], [{}]],
};
const WRONG_IN_EVENTS = { name: NO_TEXT, atMs: NO_TIME, attributes: NO_ATTRIBUTES };
const WRONG_IN_LINES: Readonly<Record<keyof LogNews, readonly unknown[]>> = {
  type: [...NO_TEXT, "", "Log", "spans"],
  level: [...NO_TEXT, "", "fatal", "silent", "Warn", "toString", "child"],
  message: NO_TEXT,
  fields: [null, undefined, "text", 1, []],
};

/** `good` with each of the values that are wrong there, and without the field. */
function spoiled(good: object, wrong: Readonly<Record<string, readonly unknown[]>>): object[] {
  return Object.entries(wrong).flatMap(([field, values]) => values.map((value) => ({ ...good, [field]: value })));
}

const NO_NEWS: readonly unknown[] = [
  ...["text", 1, ...ANY],
  ...["nobody's", null, undefined, 1, []].map((type) => ({ ...LINE, ...spans(SPAN), type })),
  ...[null, undefined, "text", 1, SPAN, { 0: SPAN, length: 1 }].map((all) => ({ type: "spans", spans: all })),
  ...[null, undefined, "text", 1, [], {}].map((span) => spans(span)),
  ...spoiled(SPAN, WRONG_IN_SPANS).map((span) => spans(span)),
  ...spoiled({ ...SPAN.events[0] }, WRONG_IN_EVENTS).map((event) => spans({ ...SPAN, events: [event] })),
  // One bad span among good ones.
  spans(SPAN, { ...SPAN, events: null }, SPAN),
  ...spoiled(LINE, WRONG_IN_LINES),
];

test("of what a step's thread posts only well-formed spans and log lines count, and each other message is told as a fault", async () => {
  const heard: unknown[] = [];
  const tracing = { spansEnded: (all: readonly SpanData[]) => heard.push(spans(...all)) };
  const faults = { line: (level: string, message: string, fields: object) => heard.push({ type: "log", level, message, fields }) };
  const observers = { tracing, faults, onReplaced() {}, onFault: (...fault: unknown[]) => heard.push(fault) } as unknown as Observers;
  const config = readConfig({ THREADS: "1", CPU_THREADS: "1" });
  const options = { workerFile: new URL("posting-tasks.ts", import.meta.url).href };
  await using threads = await startStepThreads(config, observers, options, { stickBegun: new SharedArrayBuffer(4) });
  const post = async (values: readonly unknown[]): Promise<unknown[]> => {
    await using group = threads.group();
    await group.run("post", values);
    return heard.splice(0);
  };
  const told = { type: "log", level: "warn", message: "a step thread posted what nobody expects", fields: {} };
  expect(NO_NEWS.length).toBeGreaterThan(100);
  for (const [n, message] of NO_NEWS.entries()) expect(await post([message]), `message ${n}`).toEqual([told]);

  const news: readonly (SpansNews | LogNews)[] = [
    LINE,
    { ...LINE, level: "error", fields: {} },
    { type: "spans", spans: [] },
    { type: "spans", spans: [SPAN, { ...SPAN, kind: "client", parentSpanId: SPAN.spanId, error: "HTTP 500", events: [] }] },
  ];
  expect(await post(news)).toEqual(news);
});
