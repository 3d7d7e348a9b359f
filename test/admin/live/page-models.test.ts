import { expect, test } from "vitest";
import type { Hello, Tick } from "../../../src/admin/live/messages.ts";
import { playedTenSeconds } from "./played-events.ts";

interface Bar {
  readonly from: number;
  readonly to: number;
  readonly sub: number;
  readonly status: string;
  readonly order: { readonly id: string };
}

/** What of the page's models is looked at here. They know nothing of a browser. */
interface Models {
  readonly LaneModel: new () => {
    hello(hello: Hello): void;
    tick(tick: Tick): void;
    readonly bars: readonly Bar[];
    readonly cancels: readonly unknown[];
    readonly lanes: readonly {
      readonly threads: readonly unknown[];
      readonly packed: readonly Bar[][];
      readonly samples: readonly unknown[];
    }[];
    readonly open: { readonly running: readonly Bar[] };
  };
  readonly History: new () => { add(tick: Tick): void; of(name: string): Float64Array };
}

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

interface Marks {
  drawLoad(view: object, placed: object): void;
  drawLabel(view: object, text: string, place: { from: number; to: number; y: number }, isNeeded?: boolean): void;
}

// Code of a browser is checked with other types than this file.
const moduleOf = (name: string): Promise<Models & Marks> => import(String(new URL(`../../../src/web/live/${name}.js`, import.meta.url)));
const { LaneModel } = await moduleOf("threads/lane-model");
const { History } = await moduleOf("figures/history");

const first = playedTenSeconds(0);
const second = playedTenSeconds(1);
const quiet = (now: number, more: Partial<Tick> = {}): Tick => {
  const [tick] = first.ticks as [Tick];
  return { ...tick, replaced: [], long_steps: [], orders: [], ...more, now };
};

test("what they keep does not grow, whatever comes", () => {
  const model = new LaneModel();
  const history = new History();
  model.hello(first.hello);
  const sizes = Array.from({ length: 8 }, (_, n) => {
    for (const tick of playedTenSeconds(n).ticks) {
      model.tick(tick);
      history.add(tick);
    }
    const count = (of: (lane: (typeof model.lanes)[number]) => number) => model.lanes.reduce((sum, lane) => sum + of(lane), 0);
    return {
      bars: model.bars.length,
      open: model.open.running.length,
      cancels: model.cancels.length,
      lanes: model.lanes.length,
      threads: count(({ threads }) => threads.length),
      packed: count(({ packed }) => packed.flat().length),
      samples: count(({ samples }) => samples.length),
      points: history.of("commits").length,
    };
  });
  // The first ten seconds are not all that is kept: what has scrolled out stays for a moment.
  const [, full, ...later] = sizes;
  expect([(full?.bars ?? 0) > 1_000, full?.open, (full?.threads ?? 0) > 1]).toEqual([true, 1, true]);
  for (const size of later) expect(size).toEqual(full);
});

test("the bar of a step that runs grows in its place, stops with its step and is what its order says in the end", () => {
  const model = new LaneModel();
  const { now: start } = second.hello;
  const threads = [[1, "shared", 1, 1, 5]] as const;
  const long = (now: number) => quiet(now, { threads, long_steps: [["long", 1, 1, 1, start + 100]] });
  const bar = () => model.bars.find(({ order }) => order.id === "long");
  model.hello(second.hello);
  model.tick(quiet(start, { threads }));
  model.tick(long(start + 500));
  expect(bar()).toMatchObject({ status: "running", from: start + 100, to: start + 500 });
  const { sub } = bar() as Bar;
  const steps = [
    ["ok", 1, start + 90, start + 95, "done"],
    ["canceled", 1, start + 90, start + 900, null],
    ["failed", 1, start + 90, start + 899, null],
  ] as const;
  const canceled = ["sibling_failed", start + 899] as const;
  const order = { attempt: 1, kind: "no_courier", started: start + 80, stored: start + 910, canceled, steps } as const;
  // Others come beside it.
  model.tick({ ...long(start + 750), orders: [{ ...order, id: "other", steps: [steps[0], steps[0], steps[0]] }] });
  expect(bar()).toMatchObject({ status: "running", to: start + 750, sub });
  model.tick(quiet(start + 1_000, { threads }));
  expect(bar()).toMatchObject({ status: "ended", to: start + 750 });
  expect(model.open.running).toEqual([]);
  model.tick(quiet(start + 1_250, { threads, orders: [{ ...order, id: "long" }] }));
  const bars = model.bars.filter(({ order: { id } }) => id === "long");
  expect(bars.map(({ status }) => status).toSorted()).toEqual(["canceled", "failed", "ok"]);
  expect(bars.find(({ status }) => status === "canceled")).toMatchObject({ from: start + 90, to: start + 900, sub });

  // One whose process ends stops there.
  model.tick({ ...long(start + 1_500), long_steps: [["cut off", 1, 0, 1, start + 1_100]] });
  model.hello({ ...second.hello, pid: 2, now: start + 3_000 });
  expect(model.open.running).toEqual([]);
  expect(model.bars.find(({ order: { id } }) => id === "cut off")).toMatchObject({ status: "ended", to: start + 1_500 });
});

test("while nothing runs they keep what ran last, and no more; what runs next takes its place", () => {
  const model = new LaneModel();
  model.hello(first.hello);
  for (const tick of first.ticks) model.tick(tick);
  const last = first.ticks.at(-1)?.now ?? 0;
  const threads = [[1, "exclusive", 0, 1, 5]] as const;
  const rest = (ms: number) => model.tick(quiet(last + ms, { threads, in_flight: 0 }));
  for (let ms = 250; ms <= 60_000; ms += 250) rest(ms);
  expect(model.bars.length).toBeGreaterThan(1_000);
  for (const { samples } of model.lanes) expect(samples.length).toBeLessThan(100);
  model.tick(quiet(last + 60_250, { threads, in_flight: 1 }));
  expect(model.bars).toEqual([]);
});

test("the median of a second is not that of its one slow order", () => {
  const history = new History();
  const tick = (now: number, ok: number, p50: number) =>
    history.add(quiet(now, { ended: { ok, canceled: 1 }, order_ms: { p50, p99: p50 }, cancel_ms: { p50, p99: p50 } }));
  tick(5_250, 99, 60);
  tick(5_500, 0, 300);
  tick(5_750, 98, 70);
  tick(6_250, 1, 1);
  expect(history.of("order p50").at(-1)).toBeCloseTo((100 * 60 + 300 + 99 * 70) / 200, 6);
  expect(history.of("order p99").at(-1)).toBe(300);
  // Of cancels there are as many as of orders that failed.
  expect(history.of("cancel p50").at(-1)).toBeCloseTo((60 + 300 + 70) / 3, 6);
});

const { drawLabel } = await moduleOf("threads/marks");
const { drawLoad } = await moduleOf("threads/load");

const WIDE = 600;
const HIGH = 300;
const LANE = { top: 80, height: 60 };
const context = { measureText: (text: string) => ({ width: text.length * 6 }), fillRect() {}, strokeRect() {}, fillText() {} };

/** Where labels are put on a picture with these bars. */
function labelsOn(bars: readonly Box[], ...places: readonly (readonly [from: number, to: number, y: number])[]): Box[] {
  const labels: Box[] = [];
  for (const [from, to, y] of places)
    drawLabel({ context, colors: {}, placed: [LANE], left: 100, width: WIDE, height: HIGH, bars, labels }, "payment declined", {
      from,
      to,
      y,
    });
  return labels;
}

const overlap = (one: Box, other: Box) =>
  one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;

test("a caption lies on no bar and on no other caption while there is room, not even at the right edge", () => {
  const bar = { left: 450, right: 590, top: 90, bottom: 130 };
  const labels = labelsOn([bar], [450, 590, 110], [450, 590, 110], [150, 200, 110]);
  expect(labels).toHaveLength(3);
  for (const [index, label] of labels.entries()) {
    expect(overlap(label, bar)).toBe(false);
    for (const other of labels.slice(index + 1)) expect(overlap(label, other)).toBe(false);
    expect([label.left >= 100, label.right <= WIDE, label.top >= 0, label.bottom <= HIGH]).toEqual([true, true, true, true]);
  }
  // Left of its bars, and right of those that begin where the lanes do.
  expect(labels[0]).toMatchObject({ right: 442, top: 101, bottom: 119 });
  expect(labels[2]).toMatchObject({ left: 208, top: 101, bottom: 119 });
});

test("a caption lies on no mark of the main and the journal lane, only on the line along an idle one", () => {
  const samples = (level: number, other: number) => [1_000, 1_250].map((at) => ({ at, level, other }));
  const marksOf = (pool: string, level: number, other: number) => {
    const bars: Box[] = [];
    const view = { context, colors: {}, x: (at: number) => at / 4, edge: 1_250, span: 2_000, left: 100, right: WIDE, bars };
    drawLoad(view, { lane: { pool, samples: samples(level, other) }, ...LANE });
    return bars;
  };
  expect([marksOf("main", 0.01, 0), marksOf("journal", 0, 0)]).toEqual([[], []]);
  for (const marks of [marksOf("main", 0.9, 0), marksOf("main", 0, 400), marksOf("journal", 3, 1_000)]) {
    expect(marks).toHaveLength(marks.length > 2 ? 4 : 2);
    const [label] = labelsOn(marks, [150, 190, 110]);
    expect(label).toBeDefined();
    for (const mark of marks) expect(overlap(label as Box, mark)).toBe(false);
  }
});

test("a thread that does not return to its event loop has a gray bar, but for the time of a step that computes there", () => {
  const grayOf = (...steps: readonly { from: number; to: number }[]) => {
    const bars: Box[] = [];
    const quiet = { save() {}, restore() {}, beginPath() {}, rect() {}, clip() {}, moveTo() {}, lineTo() {}, stroke() {} };
    const view = {
      context: { ...context, ...quiet },
      colors: {},
      x: (at: number) => at,
      edge: 2_000,
      span: 2_000,
      left: 0,
      right: WIDE,
      bars,
    };
    drawLoad(view, { lane: { pool: "exclusive", samples: [{ at: 2_000, level: 1, other: 1_500 }], packed: [steps] }, ...LANE });
    return bars.map(({ left, right }) => [left, right]);
  };
  expect(grayOf()).toEqual([[500, 2_000]]);
  // Its step was given up, and the thread goes on.
  expect(grayOf({ from: 600, to: 1_200 })).toEqual([[1_200, 2_000]]);
  expect(grayOf({ from: 600, to: 2_000 })).toEqual([]);
});

test("a caption stays in the lane of its cause while that has room on either side, and leaves it where it has none", () => {
  const order = { left: 350, right: 450, top: 80, bottom: 140 };
  const inLane = ({ top, bottom }: Box) => top >= LANE.top && bottom <= LANE.top + LANE.height;
  const before = { left: 100, right: 349, top: 80, bottom: 140 };
  const after = { left: 451, right: WIDE, top: 80, bottom: 140 };
  const at = [350, 450, 110] as const;
  expect(labelsOn([order], at)).toMatchObject([{ right: 342, top: 101 }]);
  expect(labelsOn([order, before], at)).toMatchObject([{ left: 458, top: 101 }]);
  // Where only the lower part is taken it moves up.
  expect(labelsOn([order, { ...before, top: 110 }, after], at)).toMatchObject([{ right: 342, top: 83 }]);
  const [other] = labelsOn([order, before, after], at);
  expect(other !== undefined && !inLane(other)).toBe(true);
});

test("where bars are everywhere a caption lies on some; where captions are everywhere it is left out", () => {
  const everywhere = { left: 0, right: WIDE, top: 0, bottom: HIGH };
  expect(labelsOn([everywhere], [250, 300, 150])).toMatchObject([{ left: 308, top: 141 }]);
  const labels: Box[] = [];
  const view = { context, colors: {}, placed: [LANE], left: 100, width: WIDE, height: HIGH, bars: [everywhere], labels };
  drawLabel(view, "payment declined", { from: 250, to: 300, y: 150 }, false);
  expect(labels).toEqual([]);
  const many = labelsOn([], ...Array.from({ length: 40 }, () => [250, 300, 150] as const));
  expect(many.length).toBeGreaterThan(5);
  expect(many.length).toBeLessThan(HIGH / 18);
});
