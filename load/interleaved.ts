import { perStep } from "../src/orders/steps.ts";
import { cpuSeconds } from "./cpu-time.ts";
import { drive } from "./drive.ts";
import { median } from "./quantile.ts";
import type { ServerProcess } from "./server-process.ts";

const CONNECTIONS = 64;
const ORDER = { amount: 1200, delay_ms: perStep(() => 0) };

export interface Round {
  readonly perSecond: number;
  /** Of the service alone, all its threads. */
  readonly cpuMicros: number;
}

/** Small orders from 64 connections for so long. Throws when an answer is wrong or missing. */
export async function smallOrders({ orderUrl, pid }: ServerProcess, seconds: number): Promise<Round> {
  const before = cpuSeconds(pid);
  const result = await drive({ url: orderUrl, connections: CONNECTIONS, seconds, order: ORDER, answerHas: '"status":"ok"' });
  const wrong = result.answers - (result.statuses.get(200) ?? 0) + result.wrongBodies + result.socketErrors + result.timeouts;
  if (wrong > 0 || result.answers === 0) throw new Error(`${wrong} of ${result.answers} answers were wrong or missing`);
  return { perSecond: result.perSecond, cpuMicros: ((cpuSeconds(pid) - before) / result.answers) * 1e6 };
}

export interface Way {
  readonly name: string;
  readonly run: () => Promise<Round>;
}

/** A pair of rounds, one of each way. */
export interface Pair {
  readonly one: Round;
  readonly other: Round;
}

export interface Comparison {
  /** Of the second way to the first, medians of pairs. */
  readonly perSecond: number;
  readonly cpu: number;
  /** For a table with the columns of `HEAD`. */
  readonly rows: readonly (readonly string[])[];
}

export const HEAD = [`${CONNECTIONS} connections, zero delays`, "orders/s", "CPU us/order", "orders/s ratio", "CPU ratio"];

/** Short rounds by turns, because the machine's other load changes within seconds. */
export async function pairsOf(first: Way, second: Way, pairs: number): Promise<Pair[]> {
  const rounds: Pair[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    // The first of each pair alternates as well.
    const swap = pair % 2 === 1;
    const early = await (swap ? second : first).run();
    const late = await (swap ? first : second).run();
    rounds.push(swap ? { one: late, other: early } : { one: early, other: late });
  }
  return rounds;
}

/** The medians of pairs. */
export async function interleaved(first: Way, second: Way, pairs: number): Promise<Comparison> {
  const rounds = await pairsOf(first, second, pairs);
  const ratio = (pick: (round: Round) => number) => median(rounds.map(({ one, other }) => pick(other) / pick(one)));
  const middle = (which: "one" | "other", pick: (round: Round) => number) => median(rounds.map((pair) => pick(pair[which])));
  const row = (name: string, which: "one" | "other") => [
    name,
    middle(which, (round) => round.perSecond).toFixed(0),
    middle(which, (round) => round.cpuMicros).toFixed(1),
    "",
    "",
  ];
  const [perSecond, cpu] = [ratio((round) => round.perSecond), ratio((round) => round.cpuMicros)];
  const last = [`  ${second.name} / ${first.name}`, "", "", perSecond.toFixed(3), cpu.toFixed(3)];
  return { perSecond, cpu, rows: [row(first.name, "one"), row(second.name, "other"), last] };
}
