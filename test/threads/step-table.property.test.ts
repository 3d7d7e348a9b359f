import fc from "fast-check";
import { expect, test } from "vitest";
import type { DispatchedStep } from "../../src/threads/dispatched-step.ts";
import { StepTable } from "../../src/threads/step-table.ts";
import { newStep } from "./new-step.ts";

const pick = fc.nat(100_000);
const command = fc.oneof(
  // In bulk now and then, so that the table grows while it is in use.
  { weight: 4, arbitrary: fc.record({ do: fc.constant("add" as const), count: fc.constantFrom(1, 1, 2, 40, 700) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("remove" as const), pick, count: fc.constantFrom(1, 1, 30, 500) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("removeAgain" as const), pick }) },
);

// Around the two numbers past which a bitwise operator sees another number than the one that is there.
const lastId = fc.oneof(
  fc.nat(2_000),
  fc.nat(4_000).map((more) => 2 ** 31 - 2_000 + more),
  fc.nat(4_000).map((more) => 2 ** 32 - 2_000 + more),
);

test("holds what a Map would hold, and no id comes twice", () => {
  fc.assert(
    fc.property(lastId, fc.array(command, { maxLength: 60 }), (last, commands) => {
      const table = new StepTable(last);
      const here = new Map<number, DispatchedStep>();
      const gone: DispatchedStep[] = [];
      let highest = last;
      for (const each of commands) {
        if (each.do === "add") {
          for (let n = 0; n < each.count; n++) {
            const step = newStep();
            table.add(step);
            expect(step.id).toBeGreaterThan(highest);
            highest = step.id;
            here.set(step.id, step);
          }
        } else if (each.do === "removeAgain") {
          const step = gone[each.pick % Math.max(1, gone.length)];
          if (step !== undefined) table.remove(step);
        } else {
          const steps = [...here.values()];
          for (let n = 0; n < Math.min(each.count, steps.length); n++) {
            const step = steps[(each.pick + n) % steps.length] as DispatchedStep;
            table.remove(step);
            here.delete(step.id);
            gone.push(step);
          }
        }
        expect(table.size).toBe(here.size);
      }
      for (const [id, step] of here) if (table.get(id) !== step) throw new Error(`step ${id} is not found`);
      for (const { id } of gone) if (table.get(id) !== undefined) throw new Error(`step ${id} is still found`);
      expect(table.get(highest + 1)).toBeUndefined();
      expect(new Set(table.all())).toEqual(new Set(here.values()));
    }),
    { numRuns: 200 },
  );
});

test("a step that waits for ever keeps its place while the ids go round", () => {
  const table = new StepTable();
  const waiting = newStep();
  table.add(waiting);
  for (let n = 0; n < 5_000; n++) {
    const step = newStep();
    table.add(step);
    expect(table.get(step.id)).toBe(step);
    table.remove(step);
  }
  expect([table.get(waiting.id), table.size, table.all()]).toEqual([waiting, 1, [waiting]]);
});
