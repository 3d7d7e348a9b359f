import { expect, test } from "vitest";
import { Canceled, CancelScope, Capacity, type Permit } from "../../src/threads/index.ts";

/** A capacity whose permits are all taken, and waiters who note in `granted` when they get one. */
async function crowded(limit: number, waiting: number) {
  const capacity = new Capacity(limit);
  const held: Permit[] = [];
  for (let n = 0; n < limit; n++) held.push(await capacity.acquire());
  const granted: number[] = [];
  for (let n = 0; n < waiting; n++) {
    void capacity.acquire().then((permit) => {
      granted.push(n);
      held.push(permit);
    });
  }
  return { capacity, held, granted };
}

/** Whoever was granted a permit has it afterwards. */
const turn = () => new Promise(setImmediate);

test("a permit that comes back above a lowered limit goes to nobody; those from the limit down go to who waits", async () => {
  const { capacity, held, granted } = await crowded(4, 3);
  capacity.resize(2);
  for (const inUse of [3, 2]) {
    held.shift()?.release();
    await turn();
    expect([capacity.inUse, capacity.waiting, granted]).toEqual([inUse, 3, []]);
  }
  for (const [n, waiting] of [2, 1, 0].entries()) {
    held.shift()?.release();
    await turn();
    expect([capacity.inUse, capacity.waiting, granted.length]).toEqual([2, waiting, n + 1]);
  }
  expect(granted).toEqual([0, 1, 2]);
  for (const permit of held) permit.release();
  expect(capacity.inUse).toBe(0);
});

test("a limit of 0 lets every permit come back and grants none, until it is raised", async () => {
  const { capacity, held, granted } = await crowded(2, 2);
  capacity.resize(0);
  for (const permit of held.splice(0)) permit.release();
  await turn();
  expect([capacity.inUse, capacity.waiting, granted, capacity.tryAcquire()]).toEqual([0, 2, [], undefined]);
  capacity.resize(1);
  await turn();
  expect([capacity.inUse, capacity.waiting, granted]).toEqual([1, 1, [0]]);
});

test("a permit whose waiter was canceled after the grant goes to nobody where the limit was lowered in between", async () => {
  const capacity = new Capacity(2);
  const [one, other] = [await capacity.acquire(), await capacity.acquire()];
  const scope = new CancelScope();
  const canceled = capacity.acquire(scope);
  const next = { granted: false };
  void capacity.acquire().then(() => (next.granted = true));
  one.release();
  capacity.resize(1);
  scope.cancel("deadline");
  await expect(canceled).rejects.toBeInstanceOf(Canceled);
  await turn();
  expect([capacity.inUse, capacity.waiting, next.granted]).toEqual([1, 1, false]);
  other.release();
  await turn();
  expect([capacity.inUse, capacity.waiting, next.granted]).toEqual([1, 0, true]);
});
