import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { DispatchedTask } from "../../src/threads/dispatched-task.ts";
import { GraceWatch } from "../../src/threads/grace-watch.ts";
import { timers } from "./timers.ts";

// Long enough that no busy machine takes it for a few turns of the event loop.
const GRACE_MS = 500;

/** A task that some thread has and that does not end. */
const newTask = () => ({ settled: false, thread: {} }) as unknown as DispatchedTask;

const newWatch = () => new GraceWatch(GRACE_MS, () => {});

test("one timer for any number of watched groups, none for none", async () => {
  const watch = newWatch();
  const rest = timers();
  const ends = [watch.watch([newTask()]), watch.watch([newTask()]), watch.watch([newTask()])];
  expect([watch.size, timers()]).toEqual([3, rest + 1]);
  for (const end of ends) end();
  expect([watch.size, timers()]).toEqual([0, rest]);
  watch.watch([newTask()]);
  expect([watch.size, timers()]).toEqual([1, rest + 1]);
  watch.close();
  expect([watch.size, timers()]).toEqual([0, rest]);
});

test("a group that ends, and one that is canceled, between the timer and its judgment leave no timer behind", async () => {
  const watch = newWatch();
  const rest = timers();
  const endFirst = watch.watch([newTask()]);
  // Made right after the watch's own timer and as long, so that it fires right after it, ahead of the judgment.
  const endSecond = await new Promise<() => void>((resolve) => {
    setTimeout(() => {
      endFirst();
      resolve(watch.watch([newTask()]));
    }, GRACE_MS);
  });
  expect([watch.size, timers()]).toEqual([1, rest + 1]);
  for (let n = 0; n < 4; n++) await turn();
  expect([watch.size, timers()]).toEqual([1, rest + 1]);
  endSecond();
  expect([watch.size, timers()]).toEqual([0, rest]);
});
