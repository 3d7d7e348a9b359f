import fc from "fast-check";
import { expect, test } from "vitest";
import { FairQueue } from "../../../src/threads/permits/fair-queue.ts";

interface Waiter {
  readonly priority: number;
  previous: Waiter | undefined;
  next: Waiter | undefined;
}

const newWaiter = (priority: number): Waiter => ({ priority, previous: undefined, next: undefined });
const priority = fc.constantFrom(0, 1, 2);
const weight = fc.constantFrom(0.01, 1, 4, 8);

/** Serves the line, whose next is taken, until this one's turn. */
function servedBefore(queue: FairQueue<Waiter>, waiter: Waiter): number {
  for (let served = 0; ; served++) {
    const next = queue.first() as Waiter;
    queue.remove(next);
    queue.served(next);
    if (next === waiter) return served;
  }
}

test("as many are served before a newcomer as it is told, whatever the weights, the line and the grants before", () => {
  const property = fc.property(
    fc.tuple(weight, weight, weight),
    fc.array(fc.record({ priority, serves: fc.nat(2) }), { maxLength: 40 }),
    priority,
    (weights, commands, own) => {
      const queue = new FairQueue<Waiter>();
      queue.weigh(weights);
      for (const command of commands) {
        queue.add(newWaiter(command.priority));
        for (let n = 0; n < command.serves; n++) {
          const next = queue.first();
          if (next === undefined) break;
          queue.remove(next);
          queue.served(next);
        }
      }
      const told = queue.inFrontOf(own, [0, 0, 0]);
      const newcomer = newWaiter(own);
      queue.add(newcomer);
      expect(told).toBe(servedBefore(queue, newcomer));
      expect(told).toBeLessThanOrEqual(commands.length);
    },
  );
  fc.assert(property, { numRuns: 500 });
});

test("those who will come first count: of its own priority all, of another as many as its share lets in", () => {
  const queue = new FairQueue<Waiter>();
  queue.weigh([8, 4, 1]);
  expect([0, 1, 2].map((own) => queue.inFrontOf(own, [0, 10, 0]))).toEqual([0, 10, 1]);
  expect(queue.inFrontOf(1, [1_000, 10, 1_000])).toBe(10 + 21 + 3);
});
