import { once } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { type Change, checkChange } from "./changed-sources.ts";
import { MAX_THREADS } from "./control-words.ts";
import { Explorer } from "./explorer.ts";
import type { Mutant } from "./mutant.ts";
import { CAPACITY_MUTANTS, FEW_GENERATIONS, MUTANTS } from "./mutants.ts";
import { SCENARIOS } from "./scenarios.ts";

// Every schedule with three preemptions in every scenario takes minutes: `npm run test:schedules`.
const ALL_PREEMPTIONS = process.env.SCHEDULES === "all" ? 3 : undefined;

// With them the largest scenario has millions of states.
const STATES = ALL_PREEMPTIONS === undefined ? undefined : 2 ** 25;

// All of it takes processor time and does not wait: a starved machine needs many times as long as a quiet one.
const TIMEOUT_MS = ALL_PREEMPTIONS === undefined ? 600_000 : 3_600_000;

/** Those of the next versions start while one is explored. */
const AHEAD = 2;

test(
  "every schedule of the scenarios keeps what the board, the log and the tracker promise",
  async () => {
    checkChange(FEW_GENERATIONS);
    await using explorer = await Explorer.start([FEW_GENERATIONS], MAX_THREADS, STATES);
    let sum = 0;
    for (const { name, preemptions } of SCENARIOS) {
      const { schedules, states, fault } = explorer.explore(name, ALL_PREEMPTIONS ?? preemptions);
      expect(fault, name).toBeUndefined();
      // A scenario that tries next to nothing proves next to nothing.
      expect(schedules, name).toBeGreaterThan(15);
      sum += schedules;
      process.stdout.write(`${String(schedules).padStart(7)} schedules, ${String(states).padStart(7)} states: ${name}\n`);
      await turn();
    }
    process.stdout.write(`${String(sum).padStart(7)} schedules in all\n`);
  },
  TIMEOUT_MS,
);

test(
  "a schedule finds each fault that is put into the protocol",
  async () => {
    for (const mutant of MUTANTS) checkChange(mutant);
    const start = (mutant: Mutant) =>
      Explorer.start([FEW_GENERATIONS, mutant], SCENARIOS.find(({ name }) => name === mutant.foundBy)?.threads);
    const starts = MUTANTS.slice(0, AHEAD).map(start);
    const missed: string[] = [];
    for (const [n, { name, foundBy }] of MUTANTS.entries()) {
      await using explorer = (await starts[n]) as Explorer;
      const next = MUTANTS[n + AHEAD];
      if (next !== undefined) starts.push(start(next));
      const { schedules, fault } = explorer.explore(foundBy);
      if (fault === undefined) missed.push(name);
      else process.stdout.write(`schedule ${String(schedules).padStart(5)} found: ${name}\n`);
    }
    expect(missed).toEqual([]);
  },
  TIMEOUT_MS,
);

describe("grant against cancel in Capacity, on one thread", () => {
  async function explored(changes: readonly Change[]): Promise<{ schedules: number; fault: string | undefined }> {
    const worker = new Worker(new URL("./capacity-thread.ts", import.meta.url), { workerData: changes });
    return (await once(worker, "message"))[0];
  }

  test("every order of what may happen keeps its rules", async () => {
    const { schedules, fault } = await explored([]);
    expect(fault).toBeUndefined();
    expect(schedules).toBeGreaterThan(1_000);
    process.stdout.write(`${String(schedules).padStart(7)} schedules: Capacity\n`);
  });

  test("an order finds each fault that is put into it", async () => {
    for (const mutant of CAPACITY_MUTANTS) checkChange(mutant);
    const found = await Promise.all(CAPACITY_MUTANTS.map(async (mutant) => [mutant.name, (await explored([mutant])).fault !== undefined]));
    expect(found).toEqual(CAPACITY_MUTANTS.map(({ name }) => [name, true]));
  });
});
