import { beforeEach, describe, expect, test } from "vitest";
import { DispatchedTask } from "../../src/threads/dispatched-task.ts";
import { GraceWatch } from "../../src/threads/grace-watch.ts";
import type { Outcome } from "../../src/threads/index.ts";
import { TaskTable } from "../../src/threads/places.ts";
import type { PoolThread } from "../../src/threads/pool-thread.ts";
import type { SlotGroup } from "../../src/threads/slot-group.ts";
import { ManualClock } from "./manual-clock.ts";

const GRACE_MS = 100;
const LATE_MS = GRACE_MS / 2;
const OK: Outcome = { status: "ok", value: undefined };
const GIVEN_UP: Outcome = { status: "canceled", cause: "deadline", started: true, stopped: false, progress: undefined };

let clock: ManualClock;
let givenUp: DispatchedTask[];
let watch: GraceWatch;

beforeEach(() => {
  clock = new ManualClock();
  givenUp = [];
  const giveUp = (task: DispatchedTask) => {
    givenUp.push(task);
    task.settle(GIVEN_UP);
  };
  watch = new GraceWatch(GRACE_MS, giveUp, clock);
});

/** A task of a group that does nothing, which nobody waits for; sent to this thread, or to none. */
function newTask(thread?: PoolThread): DispatchedTask {
  const parts = { table: new TaskTable(), codecs: undefined };
  const group = { slot: 0, generation: 0, cause: undefined, convert: undefined, parts, taskSettled() {} };
  const task = new DispatchedTask(group as unknown as SlotGroup, "task", undefined, undefined);
  task.moveTo(thread);
  return task;
}

/** A task that was sent to a thread. */
function sent(): DispatchedTask {
  return newTask({ inFlight: 0, taskSettled() {} } as unknown as PoolThread);
}

test("tasks that have not stopped when the grace is over are given up, in their order, each once", () => {
  const tasks = [sent(), sent(), sent()];
  watch.watch(tasks);
  tasks[1]?.settle(OK);
  clock.pass(GRACE_MS - 1);
  expect([givenUp, watch.size]).toEqual([[], 1]);
  clock.pass(1);
  expect([givenUp, watch.size]).toEqual([[tasks[0], tasks[2]], 0]);
  clock.pass(10 * GRACE_MS);
  expect([givenUp.length, clock.timers]).toEqual([2, 0]);
});

test("a task that settled meanwhile, or was never sent to a thread, is not given up", () => {
  const settled = sent();
  watch.watch([settled, newTask()]);
  settled.settle(OK);
  clock.pass(GRACE_MS);
  expect([givenUp, watch.size, clock.timers]).toEqual([[], 0, 0]);
});

test("what arrives between the timer and the judgment counts: timers run before messages", () => {
  const [inTime, stubborn] = [sent(), sent()];
  watch.watch([inTime, stubborn]);
  clock.stall(GRACE_MS);
  clock.fire();
  expect(givenUp).toEqual([]);
  inTime.settle(OK);
  clock.read();
  expect(givenUp).toEqual([stubborn]);
});

describe("groups beside each other", () => {
  test("each has a whole grace of its own, with one timer for all", () => {
    const tasks = [0, 1, 2].map(() => {
      const task = sent();
      watch.watch([task]);
      expect(clock.timers).toBe(1);
      clock.pass(30);
      return task;
    });
    // They were canceled at 0, 30 and 60, and it is 90.
    for (const [n, leftMs] of [10, 30, 30].entries()) {
      clock.pass(leftMs - 1);
      expect([givenUp, watch.size, clock.timers]).toEqual([tasks.slice(0, n), 3 - n, 1]);
      clock.pass(1);
      expect(givenUp).toEqual(tasks.slice(0, n + 1));
    }
    expect([watch.size, clock.timers]).toEqual([0, 0]);
  });

  test("one whose watch has ended is not judged; the others are, and the last to end stops the timer", () => {
    const [ended, other] = [sent(), sent()];
    const [endFirst, endSecond] = [watch.watch([ended]), watch.watch([other])];
    endFirst();
    expect([watch.size, clock.timers]).toEqual([1, 1]);
    clock.pass(GRACE_MS);
    expect(givenUp).toEqual([other]);
    // Its group does so when the task that was given up has settled.
    endSecond();
    watch.watch([sent()])();
    expect([watch.size, clock.timers]).toEqual([0, 0]);
  });

  test("one that is canceled between the timer and the judgment of another has its whole grace", () => {
    const [first, second] = [sent(), sent()];
    watch.watch([first]);
    clock.stall(GRACE_MS);
    clock.fire();
    watch.watch([second]);
    clock.stall(10);
    clock.read();
    expect([givenUp, watch.size, clock.timers]).toEqual([[first], 1, 1]);
    clock.pass(GRACE_MS - 11);
    expect(givenUp).toEqual([first]);
    clock.pass(1);
    expect(givenUp).toEqual([first, second]);
  });

  test("one that ends between the timer and its judgment, while another begins, leaves one timer", () => {
    const end = watch.watch([sent()]);
    clock.stall(GRACE_MS);
    clock.fire();
    end();
    const second = sent();
    watch.watch([second]);
    expect(clock.timers).toBe(1);
    clock.read();
    expect([givenUp, watch.size, clock.timers]).toEqual([[], 1, 1]);
    clock.pass(GRACE_MS);
    expect([givenUp, clock.timers]).toEqual([[second], 0]);
  });

  test("closing forgets all of them", () => {
    for (let n = 0; n < 3; n++) watch.watch([sent()]);
    clock.stall(GRACE_MS);
    clock.fire();
    watch.close();
    clock.read();
    clock.pass(10 * GRACE_MS);
    expect([givenUp, watch.size, clock.timers]).toEqual([[], 0, 0]);
  });
});

describe("a process that stalls", () => {
  test("a timer that fires late gives the grace again, and then the tasks are given up", () => {
    const [stops, stubborn] = [sent(), sent()];
    watch.watch([stops, stubborn]);
    clock.stall(GRACE_MS + LATE_MS + 1);
    clock.fire();
    clock.read();
    expect([givenUp, watch.size, clock.timers]).toEqual([[], 1, 1]);
    clock.pass(GRACE_MS - 1);
    expect(givenUp).toEqual([]);
    stops.settle(OK);
    clock.pass(1);
    expect([givenUp, watch.size, clock.timers]).toEqual([[stubborn], 0, 0]);
  });

  test("a busy event loop, whose turns are far shorter than the grace, gives no second one", () => {
    const task = sent();
    watch.watch([task]);
    clock.stall(GRACE_MS + LATE_MS);
    clock.fire();
    clock.read();
    expect(givenUp).toEqual([task]);
  });

  test("what counts as late is the timer that fires, not the judgment after it", () => {
    const task = sent();
    watch.watch([task]);
    clock.stall(GRACE_MS);
    clock.fire();
    clock.stall(10 * GRACE_MS);
    clock.read();
    expect(givenUp).toEqual([task]);
  });

  test("is no excuse for ever: the eighth judgment is carried out, however late it comes", () => {
    const task = sent();
    watch.watch([task]);
    for (let judgment = 1; judgment <= 8; judgment++) {
      expect([judgment, givenUp]).toEqual([judgment, []]);
      clock.stall(3 * GRACE_MS);
      clock.fire();
      clock.read();
    }
    expect([givenUp, watch.size, clock.timers]).toEqual([[task], 0, 0]);
  });

  test("a group that ends in its second grace is watched no longer", () => {
    const end = watch.watch([sent()]);
    clock.stall(3 * GRACE_MS);
    clock.fire();
    clock.read();
    expect([watch.size, clock.timers]).toEqual([1, 1]);
    end();
    expect([watch.size, clock.timers]).toEqual([0, 0]);
  });

  test("a second grace begins with the judgment, behind the graces that began before", () => {
    const [first, second] = [sent(), sent()];
    watch.watch([first]);
    clock.stall(GRACE_MS + 20);
    watch.watch([second]);
    clock.stall(LATE_MS);
    // The first is 70 late; the second has 50 left, of which 10 pass before the judgment.
    clock.fire();
    clock.stall(10);
    clock.read();
    expect(givenUp).toEqual([]);
    clock.pass(40);
    expect(givenUp).toEqual([second]);
    clock.pass(GRACE_MS - 41);
    expect(givenUp).toEqual([second]);
    clock.pass(1);
    expect(givenUp).toEqual([second, first]);
  });
});
