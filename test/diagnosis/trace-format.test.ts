import { describe, expect, test } from "vitest";
import { offencesIn } from "./trace-format.ts";

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

const traceOf = (...events: object[]) => ({ traceEvents: [...NAMED, ...events] });
const without = (event: object, field: string) => Object.fromEntries(Object.entries(event).filter(([name]) => name !== field));

describe("the check of the trace-event format", () => {
  test("has nothing against a good trace", () => {
    expect(offencesIn(traceOf(...GOOD))).toEqual([]);
    expect(offencesIn(traceOf())).toEqual([]);
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
    expect(offencesIn(traceOf(...GOOD, without(event, field)))).not.toEqual([]);
  });

  test.each([
    ["no object", null],
    ["no list of events", { traceEvents: {} }],
    ["an event that is none", traceOf(null as never)],
    ["a time below zero", traceOf({ ...X, ts: -1 })],
    ["a length below zero", traceOf({ ...X, dur: -1 })],
    ["part of a microsecond", traceOf({ ...X, ts: 1.5 })],
    ["track 0", traceOf({ ...X, tid: 0 })],
    ["a track without a name", traceOf({ ...X, tid: 2 })],
    ["a process without a name", { traceEvents: NAMED.slice(1) }],
    ["a name that is none", { traceEvents: [...NAMED, { ...NAMED[1], args: { name: 3 } }] }],
    ["slices in each other's way", traceOf(X, { ...X, ts: 19 })],
    ["slices in each other's way within a third", traceOf({ ...X, ts: 0, dur: 100 }, X, { ...X, ts: 19 })],
    ["a slice without an end", traceOf(B)],
    ["an end without a slice", traceOf(E)],
    ["an end before its begin", traceOf(B, { ...E, ts: 0 })],
    ["an end of another slice", traceOf(B, { ...E, id: "0x3" })],
    ["a slice that begins twice", traceOf(B, B, E)],
    ["an arrow without an end", traceOf(X, I, S)],
    ["an arrow without a begin", traceOf(X, I, F)],
    ["an arrow with two ends", traceOf(X, I, S, F, F)],
    ["an arrow that points back", traceOf(X, { ...I, ts: 11 }, S, { ...F, ts: 11 })],
    ["an arrow from nowhere", traceOf(X, I, { ...S, ts: 25 }, F)],
    ["an arrow into nothing", traceOf(X, S, F)],
  ])("finds %s", (_, trace) => {
    expect(offencesIn(trace)).not.toEqual([]);
  });
});
