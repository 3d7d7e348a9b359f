import { once } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { type Change, checkChange, EXEC_ARGV } from "./changed-sources.ts";
import { Explorer } from "./explorer.ts";
import { CAPACITY_MUTANTS, FEW_GENERATIONS, MUTANTS } from "./mutants.ts";
import { SCENARIOS } from "./scenarios.ts";

/** The whole campaign, `npm run test:schedules`: minutes. */
const IS_WHOLE = process.env.SCHEDULES === "all";
// All of it takes processor time and does not wait: a starved machine needs many times as long as a quiet one.
const TIMEOUT_MS = IS_WHOLE ? 3_600_000 : 600_000;
// With more preemptions a scenario has millions of states.
const STATES = IS_WHOLE ? 2 ** 23 : undefined;
const MOST_PREEMPTIONS = 2;

const say = (text: string) => process.stdout.write(`${text}\n`);

// There is no chance in it: the same schedules in the same order each time.
test("every schedule of the scenarios keeps what the board, the log, the tracker and the pools promise", {
  timeout: TIMEOUT_MS,
}, async () => {
  checkChange(FEW_GENERATIONS);
  await using explorer = await Explorer.start([[FEW_GENERATIONS]], STATES);
  let sum = 0;
  for (const { name, preemptions, most = MOST_PREEMPTIONS } of SCENARIOS) {
    const bound = IS_WHOLE ? Math.max(most, preemptions) : preemptions;
    const beganMs = performance.now();
    const { schedules, states, fault } = explorer.explore(name, bound);
    expect(fault, name).toBeUndefined();
    // A scenario in which next to nothing happens proves next to nothing.
    expect(states, name).toBeGreaterThan(15);
    sum += schedules;
    const seconds = ((performance.now() - beganMs) / 1e3).toFixed(1);
    say(
      `${String(schedules).padStart(7)} schedules, ${String(states).padStart(8)} states, ${bound} preemptions, ${seconds.padStart(5)} s: ${name}`,
    );
    await turn();
  }
  say(`${String(sum).padStart(7)} schedules in all`);
  // As docs/how-it-works.md says.
  expect(sum).toBeGreaterThan(IS_WHOLE ? 350_000 : 20_000);
});

// A test of the tests, which changes with `src/threads` only: `npm run test:schedules` has it.
test.runIf(IS_WHOLE)("a schedule finds each fault that is put into the sources", { timeout: TIMEOUT_MS }, async () => {
  for (const mutant of MUTANTS) checkChange(mutant);
  const names = MUTANTS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  await using explorer = await Explorer.start(MUTANTS.map((mutant) => [FEW_GENERATIONS, mutant]));
  const missed: string[] = [];
  for (const [version, { name, foundBy }] of MUTANTS.entries()) {
    const { schedules, fault } = explorer.explore(foundBy, undefined, version);
    if (fault === undefined) missed.push(name);
    else say(`schedule ${String(schedules).padStart(5)} found: ${name} (${foundBy})`);
    await turn();
  }
  expect(missed).toEqual([]);
  say(`${MUTANTS.length} faults found`);
});

describe("grant against cancel in Capacity, on one thread", () => {
  async function explored(changes: readonly Change[]): Promise<{ schedules: number; fault: string | undefined }> {
    const worker = new Worker(new URL("./capacity-thread.ts", import.meta.url), { workerData: changes, execArgv: EXEC_ARGV });
    return (await once(worker, "message"))[0];
  }

  test("every order of what may happen keeps its rules", async () => {
    const { schedules, fault } = await explored([]);
    expect(fault).toBeUndefined();
    expect(schedules).toBeGreaterThan(1_000);
    say(`${String(schedules).padStart(7)} schedules: Capacity`);
  });

  test("an order finds each fault that is put into it", async () => {
    for (const mutant of CAPACITY_MUTANTS) checkChange(mutant);
    const found = await Promise.all(CAPACITY_MUTANTS.map(async (mutant) => [mutant.name, (await explored([mutant])).fault !== undefined]));
    expect(found).toEqual(CAPACITY_MUTANTS.map(({ name }) => [name, true]));
  });
});
