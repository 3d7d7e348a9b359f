import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, release, type as systemName, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { median } from "../quantile.ts";
import type { Target } from "../target.ts";
import type { Percentiles, Round, Sample } from "./experiment.ts";

export const RESULTS = fileURLToPath(new URL("../results", import.meta.url));
const PROJECT = fileURLToPath(new URL("../..", import.meta.url));

export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly rounds: readonly number[];
}

export interface VariantResult {
  readonly name: string;
  readonly figures: readonly Figure[];
  readonly latencyMs?: Percentiles;
  readonly overTime?: readonly Sample[];
}

/** What `load/results/NAME.json` holds. */
export interface Result {
  readonly name: string;
  readonly question: string;
  readonly at: string;
  readonly commit: string;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly memoryGib: number;
    readonly os: string;
    readonly node: string;
  };
  readonly settings: Readonly<Record<string, number>>;
  readonly variants: readonly VariantResult[];
  readonly targets: readonly Target[];
}

export function machine(): Result["machine"] {
  const cores = cpus();
  return {
    cpu: cores[0]?.model.trim() ?? "unknown",
    cores: cores.length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    os: `${systemName()} ${release()}`,
    node: process.version,
  };
}

/** The commit of this tree; with a plus sign where files other than results differ from it. */
export function commit(): string {
  const git = (...args: string[]) => execFileSync("git", args, { cwd: PROJECT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  try {
    return (
      git("rev-parse", "--short", "HEAD").trim() +
      (git("status", "--porcelain", "-uno", "--", ".", ":!load/results").trim() === "" ? "" : "+")
    );
  } catch {
    // A tree without its history.
    return "unknown";
  }
}

/** Medians with their spread. */
export function summary(name: string, rounds: readonly Round[]): VariantResult {
  const names = [...new Set(rounds.flatMap(({ figures }) => Object.keys(figures)))];
  const figures = names.map((figure): Figure => {
    const seen = rounds.flatMap(({ figures }) => (figures[figure] === undefined ? [] : [figures[figure]]));
    const values = seen.map(([value]) => digits(value));
    return {
      name: figure,
      unit: seen[0]?.[1] ?? "",
      median: median(values),
      min: Math.min(...values),
      max: Math.max(...values),
      rounds: values,
    };
  });
  const latencies = rounds.flatMap(({ latencyMs }) => (latencyMs === undefined ? [] : [latencyMs]));
  const latencyMs = latencies[0]?.map(([percentile], n) => [percentile, median(latencies.map((of) => digits(of[n]?.[1] ?? 0)))] as const);
  const overTime = oneAfterTheOther(rounds.map(({ overTime = [] }) => overTime));
  return { name, figures, ...(latencyMs && { latencyMs }), ...(overTime.length > 0 && { overTime }) };
}

/** The rounds of one variant as one time, without the rounds of others between them. */
function oneAfterTheOther(rounds: readonly (readonly Sample[])[]): Sample[] {
  const all: Sample[] = [];
  for (const samples of rounds) {
    const startS = all.at(-1)?.s ?? 0;
    for (const sample of samples) all.push({ ...sample, s: digits(startS + sample.s) });
  }
  return all;
}

/** More than five digits of a measured figure are noise. */
export function digits(value: number): number {
  return Number(value.toPrecision(5));
}

export function writeResult(directory: string, result: Result): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, `${result.name}.json`), `${JSON.stringify(result)}\n`);
}

export function readResult(directory: string, name: string): Result | undefined {
  const file = join(directory, `${name}.json`);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Result) : undefined;
}
