import fc from "fast-check";
import { expect, test } from "vitest";
import { Attempt } from "../../src/orders/attempt.ts";
import { OrderMap } from "../../src/orders/order-map.ts";

function newAttempt(orderId: string): Attempt {
  return new Attempt({ orderId, amount: 1, attempt: 1 }, {}, () => new Promise(() => {}));
}

// Few ids for few buckets, so that they meet in one and an id comes again while it is there.
const command = fc.record({ do: fc.constantFrom("add", "add", "remove", "removeAgain"), id: fc.nat(11), pick: fc.nat(1_000) });

test("holds what a list would hold, whatever shares a bucket; the later attempt of an id is found", () => {
  fc.assert(
    fc.property(fc.constantFrom(1, 2, 5, 64), fc.array(command, { maxLength: 80 }), (expected, commands) => {
      const attempts = new OrderMap<Attempt>(expected);
      const here: Attempt[] = [];
      const gone: Attempt[] = [];
      for (const { do: what, id, pick } of commands) {
        const orderId = `order-${id}`;
        if (what === "add") {
          const attempt = newAttempt(orderId);
          attempts.add(attempt);
          here.push(attempt);
        } else if (what === "remove" && here.length > 0) {
          const [attempt] = here.splice(pick % here.length, 1) as [Attempt];
          attempts.remove(attempt);
          gone.push(attempt);
        } else if (gone.length > 0) {
          attempts.remove(gone[pick % gone.length] as Attempt);
        }
        expect(attempts.get(orderId)).toBe(here.findLast((attempt) => attempt.input.orderId === orderId));
        expect(new Set(attempts.all())).toEqual(new Set(here));
      }
      for (const attempt of gone) expect(attempt.nextInBucket).toBeUndefined();
    }),
  );
});
