import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Poll } from "../../src/journal/postgres/poll.ts";

const POLL_MS = 75;

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

/** A poll, and the looks that it has begun. They end at once unless they are held. */
function setUp() {
  const looks: string[] = [];
  const held = { gate: Promise.resolve() };
  const poll = new Poll<string>(async (items) => {
    looks.push(items.join());
    await held.gate;
  });
  return { poll, looks, held };
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

test("a new item is looked at soon, and all of them together after each pause, whenever they came", async () => {
  const { poll, looks } = setUp();
  poll.poll("a");
  await pass(POLL_MS - 10);
  expect(looks).toEqual(["a"]);
  poll.poll("b");
  await pass(9);
  expect(looks).toEqual(["a", "b"]);
  await pass(1);
  expect(looks).toEqual(["a", "b", "a,b"]);
  await pass(POLL_MS - 1);
  expect(looks).toHaveLength(3);
  await pass(1);
  expect(looks).toEqual(["a", "b", "a,b", "a,b"]);
  expect(vi.getTimerCount()).toBe(1);
});

test("one look at a time: what comes meanwhile shares the next, a poll that is due too", async () => {
  const { poll, looks, held } = setUp();
  poll.poll("a");
  await pass(0);
  const { promise, resolve } = Promise.withResolvers<void>();
  held.gate = promise;
  poll.poll("b");
  for (const item of ["c", "d", "c"]) poll.poll(item);
  await pass(10 * POLL_MS);
  expect(looks).toEqual(["a", "b"]);
  resolve();
  await pass(0);
  expect(looks).toEqual(["a", "b", "a,b,c,d"]);
});

test("an item that is deleted is not looked at any more, though it was to be next; the others are", async () => {
  const { poll, looks, held } = setUp();
  const { promise, resolve } = Promise.withResolvers<void>();
  held.gate = promise;
  poll.poll("a");
  poll.poll("b");
  poll.poll("c");
  poll.delete("b");
  expect(["a", "b", "c"].map((item) => poll.has(item))).toEqual([true, false, true]);
  resolve();
  await pass(0);
  expect(looks).toEqual(["a", "c"]);
  poll.delete("a");
  await pass(POLL_MS);
  expect(looks).toEqual(["a", "c", "c"]);
  poll.delete("c");
  expect(vi.getTimerCount()).toBe(0);
  await pass(10 * POLL_MS);
  expect(looks).toHaveLength(3);
  poll.poll("d");
  await pass(POLL_MS);
  expect(looks.slice(3)).toEqual(["d", "d"]);
});
