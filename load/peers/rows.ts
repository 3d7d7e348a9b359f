import { median, quantile } from "../quantile.ts";
import type { Cancels } from "./cancels.ts";
import { linesOf } from "./first-failure/outcome.ts";
import { CANCELED_KINDS, type Measured, THREADS } from "./measure.ts";
import type { Memory } from "./memory.ts";
import type { Peer } from "./peer.ts";
import { LOADS, threadsFor } from "./throughput.ts";

/** All that was measured of one peer, a round each. */
export interface Rounds {
  readonly name: string;
  readonly peer: Peer;
  readonly figures: Measured[];
  readonly memory: Memory[];
}

type Cell = (rounds: Rounds) => string;
type Row = readonly [title: string, cell: Cell];

const CANCELED: Readonly<Record<(typeof CANCELED_KINDS)[number], string>> = {
  tick: "waits",
  computeAwaiting: "computes, awaits each ms",
  compute: "computes, never awaits",
};

/** Three digits of it are more than anything here is sure of. */
function short(value: number): string {
  const rounded = Number(value.toPrecision(value < 100 ? 2 : 3));
  return rounded < 10_000 ? String(rounded) : String(rounded).replace(/\B(?=(\d{3})+$)/g, " ");
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

/** Of all rounds: threads lost, cancels beside innocents, and innocents lost by them. */
export function losses({ figures }: Rounds) {
  const cancels = figures.flatMap((of) => CANCELED_KINDS.map((kind) => of.cancels[kind]));
  const beside = figures.flatMap(({ innocents }) => innocents ?? []);
  return {
    threads: sum(cancels.map((of) => of.threadsLost)) + sum(beside.map((of) => of.threadsLost)),
    cancelsBeside: sum(beside.map((of) => of.cancels)),
    innocents: sum(beside.map(({ lost }) => lost)),
  };
}

const perSecond =
  (name: keyof typeof LOADS): Cell =>
  ({ figures }) =>
    short(median(figures.map((of) => of.perSecond[name])));

function times(values: readonly number[]): string {
  return `${short(median(values))} (${short(quantile(values, 0.9))})`;
}

const stops =
  (kind: (typeof CANCELED_KINDS)[number]): Cell =>
  ({ figures }) => {
    const all = figures.map((of) => of.cancels[kind]);
    const [settled, stopped] = [pooled(all, "settledMs"), pooled(all, "stoppedMs")];
    const ranOn = sum(all.map((of) => of.ranOn));
    return ranOn * 2 > stopped.length ? `runs on; settles ${times(settled)}` : times(stopped);
  };

const nextStarts =
  (kind: (typeof CANCELED_KINDS)[number]): Cell =>
  ({ figures }) =>
    times(
      pooled(
        figures.map((of) => of.cancels[kind]),
        "nextMs",
      ),
    );

function pooled(all: readonly Cancels[], which: "settledMs" | "stoppedMs" | "nextMs"): number[] {
  return all.flatMap((of) => of[which]);
}

const innocentsLost: Cell = (rounds) => {
  const { innocents, cancelsBeside } = losses(rounds);
  if (rounds.peer.sharing === "none") return "one task a thread";
  const figure = short((innocents / cancelsBeside) * 1000);
  return rounds.peer.sharing === "all" ? figure : `${figure}; canceled ones are alone`;
};

const threadsLost: Cell = ({ peer, figures }) => {
  if (peer.mostTasks !== undefined) return "each task's own";
  const ofKind = (kind: (typeof CANCELED_KINDS)[number]): string => {
    const all = figures.map((of) => of.cancels[kind]);
    return short((sum(all.map((of) => of.threadsLost)) / sum(all.map(({ settledMs }) => settledMs.length))) * 1000);
  };
  return CANCELED_KINDS.map(ofKind).join(", ");
};

const memoryOf: Cell = ({ memory }) => {
  const figure = short(median(memory.map(({ kibATask }) => kibATask)));
  const { running = 0, tasks = 0 } = memory[0] ?? {};
  return running === tasks ? figure : `${figure}; ${running} run, the others queue`;
};

const ROWS: readonly Row[] = [
  [`empty tasks per second, ${LOADS.empty.atATime} at a time`, perSecond("empty")],
  [`tasks per second that wait 5 ms, ${LOADS.waiting.atATime} at a time`, perSecond("waiting")],
  [
    "threads for that",
    ({ peer }) => (peer.mostTasks === undefined ? String(threadsFor(peer, LOADS.waiting, THREADS)) : `${peer.mostTasks} at most`),
  ],
  ["tasks per second that compute 5 ms", perSecond("computing")],
  ...CANCELED_KINDS.map((kind): Row => [`cancel to stop, ms: ${CANCELED[kind]}`, stops(kind)]),
  ...CANCELED_KINDS.map((kind): Row => [`cancel to the next task's start, ms: ${CANCELED[kind]}`, nextStarts(kind)]),
  ["threads lost per 1000 cancels, of each of these three", threadsLost],
  ["innocents lost per 1000 cancels beside them", innocentsLost],
  ["CPU of a canceled task and one behind it, us", ({ figures }) => short(median(figures.map((of) => of.cancelCpuMicros)))],
  ["memory of a waiting task, KiB", memoryOf],
  ['lines for "first failure stops the rest"', ({ name }) => String(linesOf(name))],
];

/** The table, in Markdown. */
export function markdown(peers: readonly Rounds[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |\n`;
  const rule = `|${"---|".repeat(peers.length + 1)}\n`;
  return (
    line(["", ...peers.map(({ peer }) => peer.title)]) + rule + ROWS.map(([title, cell]) => line([title, ...peers.map(cell)])).join("")
  );
}
