import fc from "fast-check";
import { expect, test } from "vitest";
import type { DispatchedTask } from "../../src/threads/dispatched-task.ts";
import { TaskTable } from "../../src/threads/places.ts";
import { seedOf } from "../support/seed.ts";

const SEED = seedOf("TASK_TABLE_SEED");

const taskOf = (slot: number, generation: number) => ({ group: { slot, generation } }) as unknown as DispatchedTask;

test("a place is given again, and who asks for the task that had it before gets none", () => {
  const table = new TaskTable();
  const [before, other] = [taskOf(3, 7), taskOf(3, 7)];
  const [id, otherId] = [table.add(before), table.add(other)];
  expect([table.find(id, 3, 7), table.find(otherId, 3, 7), table.inUse]).toEqual([before, other, 2]);
  table.remove(id);
  expect([table.find(id, 3, 7), table.inUse, table.all()]).toEqual([undefined, 1, [other]]);
  const now = taskOf(3, 8);
  expect(table.add(now)).toBe(id);
  expect([table.find(id, 3, 7), table.find(id, 4, 8), table.find(id + 10, 3, 8)]).toEqual([undefined, undefined, undefined]);
  expect(table.find(id, 3, 8)).toBe(now);
});

test(`it is as large as most tasks at one time were, and holds exactly those that have not settled (seed ${SEED})`, () => {
  fc.assert(
    fc.property(fc.array(fc.record({ comes: fc.boolean(), pick: fc.nat(1_000) }), { maxLength: 200 }), (commands) => {
      const table = new TaskTable();
      const model = new Map<number, DispatchedTask>();
      let most = 0;
      for (const { comes, pick } of commands) {
        if (comes) {
          const task = taskOf(pick, 0);
          const id = table.add(task);
          expect(model.has(id)).toBe(false);
          model.set(id, task);
        } else {
          const id = [...model.keys()][pick % Math.max(1, model.size)];
          if (id === undefined) continue;
          table.remove(id);
          model.delete(id);
        }
        most = Math.max(most, model.size);
        expect(table.inUse).toBe(model.size);
        for (const id of model.keys()) expect(id).toBeLessThan(most);
        expect(new Set(table.all())).toEqual(new Set(model.values()));
      }
    }),
    { seed: SEED, numRuns: 200 },
  );
});
