import { setImmediate as turn } from "node:timers/promises";
import { expect } from "vitest";
import { checkChange } from "./changed-sources.ts";
import { Explorer } from "./explorer.ts";
import { FEW_GENERATIONS } from "./mutants.ts";
import type { Scenario } from "./scenario.ts";

/** The whole campaign, `npm run test:schedules`: minutes. */
export const IS_WHOLE = process.env.SCHEDULES === "all";

/** All of it takes processor time and does not wait: a starved machine needs many times as long as a quiet one. */
export const TIMEOUT_MS = IS_WHOLE ? 3_600_000 : 600_000;

// With more preemptions a scenario has millions of states.
const STATES = IS_WHOLE ? 2 ** 23 : undefined;
const MOST_PREEMPTIONS = 2;

/** Tries every schedule of these scenarios. Fails with the first bad one. There is no chance in it: the same ones in the same order each time. */
export async function expectAllGood(scenarios: readonly Scenario[]): Promise<void> {
  checkChange(FEW_GENERATIONS);
  await using explorer = await Explorer.start([[FEW_GENERATIONS]], STATES);
  let sum = 0;
  for (const { name, preemptions, most = MOST_PREEMPTIONS } of scenarios) {
    const bound = IS_WHOLE ? Math.max(most, preemptions) : preemptions;
    const beganMs = performance.now();
    const { schedules, states, fault } = explorer.explore(name, bound);
    expect(fault, name).toBeUndefined();
    // A scenario in which next to nothing happens proves next to nothing.
    expect(states, name).toBeGreaterThan(15);
    sum += schedules;
    const seconds = ((performance.now() - beganMs) / 1e3).toFixed(1);
    process.stdout.write(
      `${String(schedules).padStart(7)} schedules, ${String(states).padStart(8)} states, ${bound} preemptions, ${seconds.padStart(5)} s: ${name}\n`,
    );
    await turn();
  }
  process.stdout.write(`${String(sum).padStart(7)} schedules in all\n`);
}
