import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { checkChange } from "./changed-sources.ts";
import { IS_WHOLE, TIMEOUT_MS } from "./explored.ts";
import { Explorer } from "./explorer.ts";
import { FEW_GENERATIONS, MUTANTS } from "./mutants.ts";

// A test of the tests, which changes with `src/threads` only: `npm run test:schedules` has it.
test.runIf(IS_WHOLE)(
  "a schedule finds each fault that is put into the sources",
  async () => {
    for (const mutant of MUTANTS) checkChange(mutant);
    const names = MUTANTS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    await using explorer = await Explorer.start(MUTANTS.map((mutant) => [FEW_GENERATIONS, mutant]));
    const missed: string[] = [];
    for (const [version, { name, foundBy }] of MUTANTS.entries()) {
      const { schedules, fault } = explorer.explore(foundBy, undefined, version);
      if (fault === undefined) missed.push(name);
      else if (IS_WHOLE) process.stdout.write(`schedule ${String(schedules).padStart(5)} found: ${name} (${foundBy})\n`);
      await turn();
    }
    expect(missed).toEqual([]);
    process.stdout.write(`${MUTANTS.length} faults found\n`);
  },
  TIMEOUT_MS,
);
