import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { CourierShare, type Share, type ShareRequest } from "../../src/couriers/courier-share.ts";
import { SharedCapacity } from "../../src/couriers/shared-capacity.ts";
import type { CancelCause } from "../../src/orders/cancel-cause.ts";
import { CancelScope } from "../../src/threads/index.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }));
afterEach(() => void vi.useRealTimers());

const LEASE_MS = 5_000;
const GRACE_MS = 250;
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
// The parts of a request that are not the same in all.
const said = ({ keep, want }: ShareRequest) => ({ keep, want });

/** A node whose requests its test answers. */
class Answered {
  readonly requests: ShareRequest[] = [];
  readonly capacity = new SharedCapacity(5, { nowMs: () => Date.now() });
  readonly couriers: CourierShare;
  sureUntilMs = Date.now() + LEASE_MS;
  faults = 0;
  #answer: PromiseWithResolvers<Share | undefined> | undefined;

  constructor() {
    this.couriers = new CourierShare({
      capacity: this.capacity,
      total: 5,
      cancelGraceMs: GRACE_MS,
      sureUntilMs: () => this.sureUntilMs,
      sync: (request) => {
        this.requests.push(request);
        this.#answer = Promise.withResolvers();
        return this.#answer.promise;
      },
      onFault: () => this.faults++,
      nowMs: () => Date.now(),
    });
  }

  get last(): ShareRequest | undefined {
    return this.requests.at(-1);
  }

  async answer(held: number, target = held): Promise<void> {
    this.#answer?.resolve({ held, target });
    await pass(0);
  }

  async fail(): Promise<void> {
    this.#answer?.reject(new Error("lost"));
    await pass(0);
  }

  /** It has asked for its first courier, and got so many. */
  static async holding(held: number) {
    const node = new Answered();
    const permit = node.capacity.acquire();
    await pass(0);
    expect(node.requests.map(said)).toEqual([{ keep: 0, want: 1 }]);
    await node.answer(held);
    return { node, permit: await permit };
  }
}

test("requests are numbered, and tell what was in use since the last one", async () => {
  const { node, permit } = await Answered.holding(3);
  node.capacity.tryAcquire()?.release();
  await pass(199);
  expect(node.requests.length).toBe(1);
  await pass(1);
  expect(node.last).toEqual({ number: 2, keep: 3, want: 2, waitedMs: 0, total: 5 });
  permit.release();
});

test("couriers that go back are used by nobody from the moment in which that is said", async () => {
  const { node, permit } = await Answered.holding(3);
  permit.release();
  while (node.last?.keep !== 0 || node.requests.length === 1) {
    expect(node.requests.length).toBeLessThan(10);
    await node.answer(3);
    await pass(200);
  }
  expect(node.last).toMatchObject({ keep: 0, want: 0 });
  expect(node.capacity.tryAcquire()).toBeUndefined();
  await node.answer(0);
  const { length } = node.requests;
  await pass(10_000);
  expect(node.requests.length).toBe(length);
});

test("couriers that others need go back one after another, as their calls end, and those in use are kept until then", async () => {
  const { node, permit } = await Answered.holding(2);
  const second = node.capacity.tryAcquire();
  await pass(200);
  await node.answer(2, 0);
  await pass(50);
  expect(node.last).toMatchObject({ keep: 2 });
  await node.answer(2, 0);
  permit.release();
  await pass(50);
  expect(node.last).toMatchObject({ keep: 1 });
  expect(node.capacity.tryAcquire()).toBeUndefined();
  await node.answer(1, 0);
  second?.release();
});

test("a wish whose order has left during its request is taken back", async () => {
  const node = new Answered();
  const scope = new CancelScope();
  node.capacity.acquire(scope).catch(() => {});
  await pass(0);
  scope.cancel("deadline");
  await node.answer(0);
  await pass(200);
  expect(node.requests.map(said)).toEqual([
    { keep: 0, want: 1 },
    { keep: 0, want: 0 },
  ]);
});

test("an order that comes to wait during a request has the next one made early, and not before its answer", async () => {
  const { node, permit } = await Answered.holding(1);
  await pass(200);
  const waiter = node.capacity.acquire();
  await pass(100);
  expect(node.requests.length).toBe(2);
  await node.answer(1);
  await pass(50);
  expect(node.requests.map(said)).toEqual([
    { keep: 0, want: 1 },
    { keep: 1, want: 1 },
    { keep: 1, want: 2 },
  ]);
  permit.release();
  (await waiter).release();
});

test("while requests fail it keeps what it uses, says so once, and asks no more often than usual", async () => {
  const { node, permit } = await Answered.holding(1);
  await pass(200);
  await node.answer(1, 2);
  await pass(50);
  expect(node.requests.length).toBe(3);
  await node.fail();
  await pass(199);
  expect(node.requests.length).toBe(3);
  await pass(1);
  await node.fail();
  expect([node.requests.length, node.last?.keep, node.couriers.held, node.faults]).toEqual([4, 1, 1, 1]);
  permit.release();
});

test("a process that wakes after its lease uses no courier, though none of its timers has fired yet", async () => {
  const { node, permit } = await Answered.holding(3);
  vi.setSystemTime(Date.now() + LEASE_MS);
  expect(node.couriers.held).toBe(0);
  permit.release();
});

test("calls are cut off in time where the node is sure for less long than it was: its session broke", async () => {
  const { node, permit } = await Answered.holding(3);
  const scope = new CancelScope<CancelCause>();
  const runner = node.couriers.guard({ open: () => ({ run: () => new Promise(() => {}), close: () => {} }) });
  const step = { name: "courier", action: "perform", computes: false, retryable: false } as const;
  void runner.open(scope).run(step, { orderId: "order", attempt: 1, amount: 1 });
  await pass(100);
  node.sureUntilMs = Date.now() + GRACE_MS + 300;
  await pass(99);
  expect(scope.cause).toBeUndefined();
  // What is left is the cancel grace, and a little.
  await pass(151);
  expect(scope.cause).toBe("deadline");
  expect(node.sureUntilMs - Date.now()).toBe(GRACE_MS + 50);
  permit.release();
});

test("an answer that comes when others may use the couriers counts for nothing, in the next life neither", async () => {
  const { node, permit } = await Answered.holding(3);
  await pass(LEASE_MS);
  expect(node.requests.length).toBe(2);
  await node.answer(3);
  node.sureUntilMs = Date.now() + LEASE_MS;
  expect(node.couriers.held).toBe(0);
  await pass(200);
  expect(node.capacity.tryAcquire()).toBeUndefined();
  await node.answer(2);
  expect(node.couriers.held).toBe(2);
  permit.release();
});
