import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Sample } from "./experiment.ts";
import { bars, escaped, fromZero, grouped, type Line, lines, logarithmic, nines } from "./plots.ts";
import { type Figure, type Result, readResult, type VariantResult } from "./results.ts";

const STYLE = fileURLToPath(new URL("./report.css", import.meta.url));
const BEFORE_FIRST_MS = 0.01;

/** Writes one HTML page, with nothing beside it, about all results of a directory. Main thread of a command; throws what reading and writing throw. */
export function writeReport(directory: string, file: string): void {
  const names = readdirSync(directory).filter((name) => name.endsWith(".json"));
  const results = names.flatMap((name) => readResult(directory, name.slice(0, -".json".length)) ?? []);
  writeFileSync(file, page(results));
}

function page(results: readonly Result[]): string {
  const targets = results.flatMap((result) => result.targets);
  const missed = targets.filter(({ met }) => !met).length;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Order pipeline: what was measured</title>
<style>${readFileSync(STYLE, "utf8")}</style>
<header>
<h1>Order pipeline: what was measured</h1>
<p>An order service in Node.js. <code>POST /order</code> runs three steps of an order (payment, vendor, courier) at the same time on threads of the
operating system; the first failure cancels the other two. Each section below asks one question and answers it with figures. What is
compared ran by turns in one run, so trust the <em>ratios</em>; the figures themselves depend on the machine.</p>
<dl>
<div><dt>orders/s</dt><dd>orders answered per second</dd></div>
<div><dt>CPU per order</dt><dd>processor time of the whole service, all threads, divided by its orders</dd></div>
<div><dt>p50, p99</dt><dd>half of all answers, 99 of 100 answers, came at least as fast</dd></div>
<div><dt>bars</dt><dd>the median of several rounds; each dot is a round</dd></div>
</dl>
<p class="verdict">${results.length} ${results.length === 1 ? "experiment" : "experiments"}, ${targets.length} targets, ${missed === 0 ? "all met" : `<strong>${missed} missed</strong>`}.</p>
</header>
<nav><ol>${results.map(contents).join("")}</ol></nav>
<main>${results.map(section).join("\n")}</main>
</html>
`;
}

function contents({ name, question, targets }: Result): string {
  const missed = targets.some(({ met }) => !met);
  const mark = targets.length === 0 ? "" : ` <b class="${missed ? "missed" : "met"}">${missed ? "missed" : "met"}</b>`;
  return `<li><a href="#${escaped(name)}">${escaped(question)}</a>${mark}</li>`;
}

function section(result: Result): string {
  const { name, question, targets, variants, settings, at, commit, machine } = result;
  const verdicts = targets.map(
    ({ what, value, unit, met, ...limit }) =>
      `<li class="${met ? "met" : "missed"}"><b>${met ? "met" : "missed"}</b> ${escaped(what)}: ${grouped(value)}${unitOf(unit)} <small>(${limitOf(limit)}${unitOf(unit)})</small></li>`,
  );
  const sizes = Object.entries(settings).map(([size, value]) => `${escaped(size)} ${value}`);
  return `<section id="${escaped(name)}">
<h2>${escaped(question)}</h2>
<ul class="targets">${verdicts.join("")}</ul>
<div class="plots">${figuresOf(variants)}${latencies(variants)}${overTime(variants)}</div>
<p class="run"><code>npm run bench -- ${escaped(name)}</code>, ${sizes.join(", ")}. ${escaped(at.slice(0, 10))}, commit ${escaped(commit)};
${machine.cores} cores (${escaped(machine.cpu)}), ${machine.memoryGib} GiB, ${escaped(machine.os)}, Node ${escaped(machine.node)}.</p>
</section>`;
}

function unitOf(unit: string | undefined): string {
  return unit === undefined || unit.trim() === "" ? "" : ` ${escaped(unit.trim())}`;
}

function limitOf({ atLeast, atMost }: { readonly atLeast?: number; readonly atMost?: number }): string {
  return atLeast !== undefined ? `at least ${grouped(atLeast)}` : `at most ${grouped(atMost ?? 0)}`;
}

/** Bars for each figure, of all variants that have it. */
function figuresOf(variants: readonly VariantResult[]): string {
  const names = new Map(variants.flatMap(({ figures }) => figures.map((figure) => [figure.name, figure] as const)));
  const plot = ({ name, unit }: Figure): string => {
    const having = variants.flatMap((variant) => {
      const figure = variant.figures.find((one) => one.name === name);
      return figure === undefined ? [] : [{ name: variant.name, median: figure.median, rounds: figure.rounds }];
    });
    return bars(name, unit, having);
  };
  return [...names.values()].map(plot).join("");
}

function latencies(variants: readonly VariantResult[]): string {
  const all = variants.flatMap(({ name, latencyMs }): Line[] =>
    latencyMs === undefined ? [] : [{ name, points: latencyMs.map(([at, ms]) => [at, Math.max(ms, BEFORE_FIRST_MS)]) }],
  );
  if (all.length === 0) return "";
  const values = all.flatMap(({ points }) => points.map(([, ms]) => ms));
  const y = logarithmic("ms until the answer, each step of the scale ten times the one below", Math.min(...values), Math.max(...values));
  return lines("How long answers took", all, nines("this share of the answers came at least as fast"), y);
}

function overTime(variants: readonly VariantResult[]): string {
  const measured = variants.filter(({ overTime: samples = [] }) => samples.length > 1);
  if (measured.length === 0) return "";
  const x = fromZero("seconds", Math.max(...measured.flatMap(({ overTime: samples = [] }) => samples.map(({ s }) => s))), "x");
  const plot = (title: string, label: string, all: readonly Line[]): string =>
    lines(title, all, x, fromZero(label, Math.max(...all.flatMap(({ points }) => points.map(([, value]) => value))), "y"));
  const of = (pick: (sample: Sample) => number) =>
    measured.map(({ name, overTime: samples = [] }): Line => ({ name, points: samples.map((sample) => [sample.s, pick(sample)]) }));
  const threads = measured.map(({ name, overTime: samples = [] }) => {
    const kinds = [...new Set(samples.flatMap(({ cpu }) => Object.keys(cpu)))];
    const all = kinds.map((kind): Line => ({ name: kind, points: samples.map(({ s, cpu }) => [s, cpu[kind] ?? 0]) }));
    return kinds.length === 0 ? "" : plot(`Processor by thread: ${escaped(name)}`, "cores in use", all);
  });
  return [
    plot(
      "Orders over time",
      "orders/s",
      of(({ ordersPerSecond }) => ordersPerSecond),
    ),
    plot(
      "Memory over time",
      "MiB resident",
      of(({ rssMib }) => rssMib),
    ),
    ...threads,
  ].join("");
}
