import { expect, test } from "vitest";
import { Couriers } from "../../load/cluster/couriers.ts";
import type { Call } from "../../load/stand-in/call.ts";
import { eventually } from "../support/eventually.ts";

const calm = { type: "answer" } as const;

function withTwo(): { couriers: Couriers; tooMany: number[]; call: () => Call } {
  const tooMany: number[] = [];
  const couriers = new Couriers({ count: 2, slowMs: 10, onTooMany: (inUse) => tooMany.push(inUse) });
  const call = (): Call => {
    const called = { step: "courier", action: "perform" } as Call;
    couriers.began(called, calm);
    return called;
  };
  return { couriers, tooMany, call };
}

test("as many calls at one time as there are couriers are no fault, one more is", async () => {
  const { couriers, tooMany, call } = withTwo();
  call();
  couriers.ended(call());
  call();
  expect(couriers.most).toBe(2);
  call();
  await eventually("the fault", () => tooMany.length > 0);
  expect([tooMany, couriers.most]).toEqual([[3], 3]);
});

test("a call whose client had hung up does not count, although that was read later", async () => {
  const { couriers, tooMany, call } = withTwo();
  const first = call();
  call();
  call();
  couriers.gone(first);
  couriers.ended(first);
  // The fault that follows is judged later than that which must not come.
  call();
  await eventually("the fault that follows", () => tooMany.length > 0);
  expect(tooMany).toEqual([3]);
});

test("all in use is seen when it is so, and not before", async () => {
  const { couriers, call } = withTwo();
  call();
  expect(await couriers.untilAllInUse(30)).toBeUndefined();
  const until = couriers.untilAllInUse(60_000);
  call();
  expect(await until).toBeGreaterThanOrEqual(0);
});

test("calls are slow, and have an end that both sides see at once", () => {
  const { couriers } = withTwo();
  expect(couriers.began({} as Call, { type: "hang", slowMs: 5 })).toEqual({ type: "answer", slowMs: 15 });
  expect(couriers.began({} as Call, { type: "hangUpHalfway" })).toEqual({ type: "answer", slowMs: 10 });
  expect(couriers.began({} as Call, { type: "failAfter" })).toEqual({ type: "failAfter", slowMs: 10 });
});
