import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { type Change, checkChange, EXEC_ARGV } from "./changed-sources.ts";
import { CAPACITY_MUTANTS } from "./mutants.ts";

describe("grant against cancel in Capacity, on one thread", () => {
  async function explored(changes: readonly Change[]): Promise<{ schedules: number; fault: string | undefined }> {
    const worker = new Worker(new URL("./capacity-thread.ts", import.meta.url), { workerData: changes, execArgv: EXEC_ARGV });
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
