import { short } from "../target.ts";

const WIDTH = 640;
const HEIGHT = 260;
const LEFT = 58;
const RIGHT = 12;
const TOP = 10;
const BOTTOM = 44;
const ROW = 30;
const TICKS = 5;

type Point = readonly [x: number, y: number];

export interface Line {
  readonly name: string;
  readonly points: readonly Point[];
}

interface Axis {
  readonly label: string;
  readonly ticks: readonly (readonly [at: number, text: string])[];
  /** From a value to pixels. */
  place(value: number): number;
}

export function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (mark) => `&#${mark.charCodeAt(0)};`);
}

/** As HTML; what is between backticks is code. */
function inline(text: string): string {
  return escaped(text).replace(/`([^`]*)`/g, "<code>$1</code>");
}

/** Three digits, or all of those before the point, with a space between thousands from 10 000 on. */
export function grouped(value: number): string {
  return short(value).replace(/\d(?=(\d{3})+$)/g, Math.abs(value) >= 10_000 ? "$&\u202f" : "$&");
}

/** A chart of lines with a legend. Both axes have a unit in their label. */
export function lines(title: string, all: readonly Line[], x: Axis, y: Axis): string {
  const paths = all.map(({ points }, n) => {
    const path = points.map(([px, py], k) => `${k === 0 ? "M" : "L"}${x.place(px).toFixed(1)} ${y.place(py).toFixed(1)}`).join("");
    return `<path class="line c${n % COLORS}" d="${path}"/>`;
  });
  const grid = y.ticks.map(([at, text]) => {
    const level = y.place(at).toFixed(1);
    return `<path class="grid" d="M${LEFT} ${level}H${WIDTH - RIGHT}"/><text x="${LEFT - 6}" y="${level}" dy=".35em" text-anchor="end">${text}</text>`;
  });
  const marks = x.ticks.map(
    ([at, text]) => `<text x="${x.place(at).toFixed(1)}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${text}</text>`,
  );
  const axes = `<text x="${LEFT}" y="${HEIGHT - 2}">${escaped(x.label)}</text>`;
  const svg = `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(title)}">${[...grid, ...marks, axes, ...paths].join("")}</svg>`;
  return figure(`${title} <small>${escaped(y.label)}</small>`, svg + legend(all.map(({ name }) => name)));
}

/** Horizontal bars from zero to each median, with the least, the most and every round. */
export function bars(title: string, unit: string, all: readonly { name: string; median: number; rounds: readonly number[] }[]): string {
  const most = Math.max(...all.flatMap(({ median, rounds }) => [median, ...rounds]), Number.MIN_VALUE);
  const place = (value: number) => (Math.max(0, value) / most) * 100;
  const rows = all.map(({ name, median, rounds }, n) => {
    const dots = rounds.map((value) => `<circle cx="${place(value).toFixed(2)}%" cy="50%" r="3"/>`).join("");
    const bar = `<svg role="img" aria-label="${escaped(`${name.replaceAll("`", "")}: ${grouped(median)} ${unit}`)}" width="100%" height="${ROW - 8}"><rect class="c${n % COLORS}" width="${place(median).toFixed(2)}%" height="100%" rx="2"/>${dots}</svg>`;
    return `<div class="bar"><span>${inline(name)}</span>${bar}<b>${grouped(median)}</b></div>`;
  });
  return figure(`${escaped(title)}${unit === "" || unit === title ? "" : ` <small>${escaped(unit)}</small>`}`, rows.join(""));
}

/** How many colors the style sheet has. */
export const COLORS = 7;

function legend(names: readonly string[]): string {
  return `<p class="legend">${names.map((name, n) => `<span><i class="c${n % COLORS}"></i>${inline(name)}</span>`).join(" ")}</p>`;
}

function figure(title: string, content: string): string {
  return `<figure><figcaption>${title}</figcaption>${content}</figure>`;
}

/** Equal steps from zero. */
export function fromZero(label: string, most: number, axis: "x" | "y"): Axis {
  const step = niceStep(most / TICKS);
  const top = axis === "y" ? Math.ceil(most / step) * step || 1 : most || 1;
  const ticks = Array.from({ length: Math.floor(top / step) + 1 }, (_, n) => [n * step, grouped(n * step)] as const);
  return { label, ticks, place: (value) => (axis === "x" ? across(value / top) : up(value / top)) };
}

/** Powers of ten, for what spreads over several of them. */
export function logarithmic(label: string, least: number, most: number): Axis {
  const [from, to] = [Math.floor(Math.log10(least)), Math.max(Math.floor(Math.log10(least)) + 1, Math.ceil(Math.log10(most)))];
  const ticks = Array.from({ length: to - from + 1 }, (_, n) => [10 ** (from + n), short(10 ** (from + n))] as const);
  return { label, ticks, place: (value) => up((Math.log10(value) - from) / (to - from)) };
}

// The slowest of all has no place on a scale of nines; it is put where one in 10 000 would be.
const SLOWEST = 99.99;

/** Percentiles by nines: as much room from 90 to 99 as from 99 to 99.9 (the idea is that of HdrHistogram's plots). */
export function nines(label: string): Axis {
  const nine = (percentile: number) => -Math.log10(1 - Math.min(percentile, SLOWEST) / 100);
  const ticks = [50, 90, 99, 99.9, 100].map((at) => [at, at === 100 ? "slowest" : `${at} %`] as const);
  return { label, ticks, place: (value) => across(nine(value) / nine(SLOWEST) / 1.03) };
}

function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough > 0 ? rough : 1));
  return ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10) * power;
}

function across(share: number): number {
  return LEFT + share * (WIDTH - LEFT - RIGHT);
}

function up(share: number): number {
  return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);
}
