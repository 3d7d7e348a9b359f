import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { CancelBoard } from "../../src/threads/cancel-board.ts";
import { CancellationWatchdog } from "../../src/threads/cancellation-watchdog.ts";
import { Layout } from "../../src/threads/layout.ts";
import { Tracker } from "../../src/threads/tracker.ts";
import { newStep } from "../threads/new-step.ts";
import { timers } from "./timers.ts";

// Long enough that no busy machine takes it for a few turns of the event loop.
const GRACE_MS = 500;

function newWatchdog(): CancellationWatchdog {
  const layout = Layout.allocate({ slots: 1, rows: 1 });
  const [board, tracker] = [CancelBoard.create(layout), new Tracker(layout)];
  return new CancellationWatchdog({ graceMs: GRACE_MS, board, tracker, giveUp() {} });
}

test("one timer for any number of watched runs, none for none", async () => {
  const watch = newWatchdog();
  const rest = timers();
  const ends = [watch.watch([newStep()]), watch.watch([newStep()]), watch.watch([newStep()])];
  expect([watch.size, timers()]).toEqual([3, rest + 1]);
  for (const end of ends) end();
  expect([watch.size, timers()]).toEqual([0, rest]);
  watch.watch([newStep()]);
  expect([watch.size, timers()]).toEqual([1, rest + 1]);
  watch.close();
  expect([watch.size, timers()]).toEqual([0, rest]);
});

test("a run that ends, and one that is canceled, between the timer and its judgment leave no timer behind", async () => {
  const watch = newWatchdog();
  const rest = timers();
  const endFirst = watch.watch([newStep()]);
  // Made right after the watch's own timer and as long, so that it fires right after it, ahead of the judgment.
  const endSecond = await new Promise<() => void>((resolve) => {
    setTimeout(() => {
      endFirst();
      resolve(watch.watch([newStep()]));
    }, GRACE_MS);
  });
  expect([watch.size, timers()]).toEqual([1, rest + 1]);
  for (let n = 0; n < 4; n++) await turn();
  expect([watch.size, timers()]).toEqual([1, rest + 1]);
  endSecond();
  expect([watch.size, timers()]).toEqual([0, rest]);
});
