import fc from "fast-check";
import { expect, test } from "vitest";
import { OrderRun } from "../../src/orders/order-run.ts";
import { OrderRuns } from "../../src/orders/order-runs.ts";

function newRun(orderId: string): OrderRun {
  return new OrderRun({ orderId, amount: 1, attempt: 1 }, {}, () => new Promise(() => {}));
}

// Few ids for few buckets, so that they meet in one and an id comes again while it is there.
const command = fc.record({ do: fc.constantFrom("add", "add", "remove", "removeAgain"), id: fc.nat(11), pick: fc.nat(1_000) });

test("holds what a list would hold, whatever shares a bucket; the later run of an id is found", () => {
  fc.assert(
    fc.property(fc.constantFrom(1, 2, 5, 64), fc.array(command, { maxLength: 80 }), (expected, commands) => {
      const runs = new OrderRuns(expected);
      const here: OrderRun[] = [];
      const gone: OrderRun[] = [];
      for (const { do: what, id, pick } of commands) {
        const orderId = `order-${id}`;
        if (what === "add") {
          const run = newRun(orderId);
          runs.add(run);
          here.push(run);
        } else if (what === "remove" && here.length > 0) {
          const [run] = here.splice(pick % here.length, 1) as [OrderRun];
          runs.remove(run);
          gone.push(run);
        } else if (gone.length > 0) {
          runs.remove(gone[pick % gone.length] as OrderRun);
        }
        expect(runs.get(orderId)).toBe(here.findLast((run) => run.input.orderId === orderId));
        expect(new Set(runs.all())).toEqual(new Set(here));
      }
      for (const run of gone) expect(run.nextInBucket).toBeUndefined();
    }),
  );
});
