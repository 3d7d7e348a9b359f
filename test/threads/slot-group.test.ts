import { beforeEach, describe, expect, test } from "vitest";
import type { DispatchedTask } from "../../src/threads/dispatched-task.ts";
import { CancelScope } from "../../src/threads/index.ts";
import type { CanceledOutcome, Outcome } from "../../src/threads/outcome.ts";
import { SlotGroup } from "../../src/threads/slot-group.ts";
import { FAILED, ThreadRig } from "./thread-rig.ts";

const stopped = (cause: string): CanceledOutcome => ({ status: "canceled", cause, started: true, stopped: true, progress: undefined });
const neverRan = (cause: string): CanceledOutcome => ({ ...stopped(cause), started: false });

let rig: ThreadRig;

beforeEach(() => {
  rig = new ThreadRig(3);
});

/** What the thread of a task that fails does first. */
const failsOnItsThread = (group: SlotGroup) => rig.board.cancel(group.slot, group.generation, "sibling_failed");

/** How often the slots of groups were logged while this ran. */
function notifications(while_: () => void): number {
  const before = rig.board.head();
  while_();
  return rig.board.head() - before;
}

describe("a slot", () => {
  test("is not kept by a group that cannot be opened", () => {
    const { scope, group } = rig.open();
    expect(() => new SlotGroup(rig.parts, scope)).toThrow("a scope carries one group at a time");
    for (const priority of [-1, 3, 1.5, Number.NaN])
      expect(() => new SlotGroup(rig.parts, new CancelScope(), priority)).toThrow(RangeError);
    expect(rig.parts.slots.inUse).toBe(1);
    group.close();
    expect(rig.parts.slots.inUse).toBe(0);
    // The scope may carry another one now.
    new SlotGroup(rig.parts, scope).close();
  });

  test("is given back once, when all tasks have settled, and then nothing runs in the group", async () => {
    const { group } = rig.open();
    const tasks = await rig.runOnEach(group);
    expect(() => group.close()).toThrow("group closed with 3 of its tasks still running");
    for (const task of tasks) rig.posts(task, null);
    group.close();
    expect(() => group.close()).toThrow("group closed twice");
    expect(() => group.run("task", undefined)).toThrow("task run in a group that has ended");
    expect([rig.parts.slots.inUse, rig.parts.table.inUse]).toEqual([0, 0]);
  });

  test("of a group whose scope was canceled before is canceled on the board", () => {
    const scope = new CancelScope();
    scope.cancel("deadline");
    const group = new SlotGroup(rig.parts, scope);
    expect(rig.board.causeOf(group.slot, group.generation)).toBe("deadline");
  });
});

describe("a cancel", () => {
  test("ends what waits for a thread, not in the cancel itself but in the next turn; what was sent is waited for", async () => {
    const { scope, group } = rig.open();
    const [sent] = (await rig.runOnEach(group)) as [DispatchedTask];
    // From now on none takes a task.
    for (const thread of rig.threads) thread.leaving = "killed";
    const waiting = group.run("task", undefined);
    expect(waiting.serial).toBeGreaterThan(sent.serial);
    await new Promise(setImmediate);
    scope.cancel("deadline");
    expect([waiting.settled, sent.settled]).toEqual([false, false]);
    expect(await waiting.outcome).toEqual(neverRan("deadline"));
    expect(sent.settled).toBe(false);
    expect(await group.run("task", undefined).outcome).toEqual(neverRan("deadline"));
    expect(group.unsettled().length).toBe(3);
  });

  test("of a cause that the threads do not know is aborted for them", () => {
    const { scope, group } = rig.open();
    scope.cancel("of another library");
    expect([scope.cause, rig.board.causeOf(group.slot, group.generation)]).toEqual(["of another library", "aborted"]);
  });

  test("is watched until the group is closed", async () => {
    const { scope, group } = rig.open();
    const tasks = await rig.runOnEach(group);
    scope.cancel("deadline");
    expect([rig.parts.graceWatch.size, rig.clock.timers]).toEqual([1, 1]);
    for (const task of tasks) rig.posts(task, stopped("deadline"));
    group.close();
    expect([rig.parts.graceWatch.size, rig.clock.timers]).toEqual([0, 0]);
  });
});

describe("threads are notified again, for one that was first may have died before it did", () => {
  test("when the main thread cancels and another was first, once; not when it is first itself", async () => {
    const { scope, group } = rig.open();
    await rig.runOnEach(group);
    expect(notifications(() => failsOnItsThread(group))).toBe(1);
    expect(notifications(() => scope.cancel("deadline"))).toBe(1);
    const other = rig.open();
    expect(notifications(() => other.scope.cancel("deadline"))).toBe(1);
  });

  test("not when it cancels because the failure has come: its thread notified them before it posted that", async () => {
    const { scope, group } = rig.open();
    const [failed] = (await rig.runOnEach(group)) as [DispatchedTask];
    failsOnItsThread(group);
    rig.posts(failed, FAILED);
    expect(notifications(() => scope.cancel("sibling_failed"))).toBe(0);
  });

  test("when a task has heard of a cancel that the main thread does not know of, and two or more others may not have", async () => {
    const { scope, group } = rig.open();
    const [first, second, third] = (await rig.runOnEach(group)) as [DispatchedTask, DispatchedTask, DispatchedTask];
    failsOnItsThread(group);
    expect(notifications(() => rig.posts(first, stopped("sibling_failed")))).toBe(1);
    // The one that is left is the one that failed.
    expect(notifications(() => rig.posts(second, stopped("sibling_failed")))).toBe(0);
    expect(notifications(() => rig.posts(third, FAILED))).toBe(0);
    expect(notifications(() => scope.cancel("sibling_failed"))).toBe(0);
  });
});

describe("which failure was first", () => {
  const LOST = { status: "lost", reason: "thread ended: exit", started: true };
  const givenUp = (cause: string): CanceledOutcome => ({ ...stopped(cause), stopped: false });

  let scope: CancelScope;
  let group: SlotGroup;
  let tasks: readonly [DispatchedTask, DispatchedTask, DispatchedTask];
  /** Each outcome so far, in the order in which they came. */
  let seen: [task: number, Outcome][];

  beforeEach(async () => {
    ({ scope, group } = rig.open());
    tasks = (await rig.runOnEach(group)) as [DispatchedTask, DispatchedTask, DispatchedTask];
    seen = [];
    for (const [n, task] of tasks.entries()) task.whenEnded(({ outcome }) => seen.push([n, outcome]));
  });

  describe("one on a thread was before the cancel of the main thread, which has not heard of it", () => {
    beforeEach(() => {
      failsOnItsThread(group);
      scope.cancel("deadline");
      // The board had decided. Who failed is not known yet.
      expect([scope.cause, group.cause]).toEqual(["sibling_failed", undefined]);
    });

    test("its thread dies with it: that task is lost, and only that one", () => {
      rig.dies(tasks[0]);
      expect([seen, group.cause]).toEqual([[[0, LOST]], "sibling_failed"]);
      rig.dies(tasks[1]);
      rig.posts(tasks[2], stopped("sibling_failed"));
      expect(seen.slice(1)).toEqual([
        [1, givenUp("sibling_failed")],
        [2, stopped("sibling_failed")],
      ]);
    });

    test("it arrives: a task whose thread dies afterwards is canceled", () => {
      rig.posts(tasks[0], FAILED);
      expect(group.cause).toBe("sibling_failed");
      rig.dies(tasks[1]);
      expect(seen).toEqual([
        [0, FAILED],
        [1, givenUp("sibling_failed")],
      ]);
    });

    test("one that keeps its siblings arrives before it: that was not it", () => {
      rig.posts(tasks[1], { ...FAILED, keepsSiblings: true });
      rig.posts(tasks[2], null);
      expect(group.cause).toBeUndefined();
      rig.dies(tasks[0]);
      expect([seen.at(-1), group.cause]).toEqual([[0, LOST], "sibling_failed"]);
    });
  });

  test("none is due where the main thread was first: whose thread dies then is canceled for its cause, and a failure is one", () => {
    scope.cancel("deadline");
    failsOnItsThread(group);
    expect([scope.cause, group.cause]).toEqual(["deadline", "deadline"]);
    rig.dies(tasks[0]);
    rig.posts(tasks[1], FAILED);
    rig.dies(tasks[2]);
    expect(seen).toEqual([
      [0, givenUp("deadline")],
      [1, FAILED],
      [2, givenUp("deadline")],
    ]);
  });

  test.each<[string, () => void]>([
    ["its outcome", () => rig.posts(tasks[0], FAILED)],
    ["the death of its thread", () => rig.dies(tasks[0])],
  ])("none is due where %s came before the scope is canceled, for it or for something else", (_what, comes) => {
    failsOnItsThread(group);
    comes();
    scope.cancel("deadline");
    expect([scope.cause, group.cause]).toEqual(["sibling_failed", "sibling_failed"]);
    rig.dies(tasks[1]);
    expect(seen.at(-1)).toEqual([1, givenUp("sibling_failed")]);
  });
});
