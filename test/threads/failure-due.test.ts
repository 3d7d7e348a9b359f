import { beforeEach, describe, expect, test } from "vitest";
import type { DispatchedTask } from "../../src/threads/dispatched-task.ts";
import type { CancelScope } from "../../src/threads/index.ts";
import type { Outcome } from "../../src/threads/outcome.ts";
import type { SlotGroup } from "../../src/threads/slot-group.ts";
import { FAILED, ThreadRig } from "./thread-rig.ts";

const LOST = { status: "lost", reason: "thread ended: exit", started: true };
const canceled = (cause: string, stopped: boolean) => ({ status: "canceled", cause, started: true, stopped, progress: undefined });

let rig: ThreadRig;
let scope: CancelScope;
let group: SlotGroup;
let tasks: readonly DispatchedTask[];
let outcomes: Map<DispatchedTask, Outcome>;

beforeEach(async () => {
  rig = new ThreadRig(3);
  ({ scope, group } = rig.open());
  tasks = await rig.runOnEach(group);
  outcomes = new Map();
  for (const task of tasks) task.whenEnded(({ outcome }) => outcomes.set(task, outcome));
});

const [first, second, third] = [0, 1, 2].map((n) => () => tasks[n] as DispatchedTask) as [Get, Get, Get];
type Get = () => DispatchedTask;

/** What the thread of a task that fails does first. */
function failsOnItsThread(): void {
  rig.board.cancel(group.slot, group.generation, "sibling_failed");
}

/** Each outcome so far, in the order in which they came. */
function seen(): readonly unknown[] {
  return [...outcomes].map(([task, outcome]) => [tasks.indexOf(task), outcome]);
}

describe("a failure on a thread was before the cancel of the main thread, which has not heard of it", () => {
  beforeEach(() => {
    failsOnItsThread();
    scope.cancel("deadline");
    // The board had decided. Who failed is not known yet.
    expect([scope.cause, group.cause]).toEqual(["sibling_failed", undefined]);
  });

  test("its thread dies with it: that task is lost, and only that one", () => {
    rig.dies(first());
    expect([seen(), group.cause]).toEqual([[[0, LOST]], "sibling_failed"]);
    rig.dies(second());
    rig.posts(third(), { ...canceled("sibling_failed", true), status: "canceled" });
    expect(seen()).toEqual([
      [0, LOST],
      [1, canceled("sibling_failed", false)],
      [2, canceled("sibling_failed", true)],
    ]);
  });

  test("it arrives: a task whose thread dies afterwards is canceled", () => {
    rig.posts(first(), FAILED);
    expect(group.cause).toBe("sibling_failed");
    rig.dies(second());
    expect(seen()).toEqual([
      [0, FAILED],
      [1, canceled("sibling_failed", false)],
    ]);
  });

  test("one that keeps its siblings arrives before it: that was not it", () => {
    rig.posts(second(), { ...FAILED, keepsSiblings: true });
    rig.posts(third(), null);
    expect(group.cause).toBeUndefined();
    rig.dies(first());
    expect(seen().at(-1)).toEqual([0, LOST]);
    expect(group.cause).toBe("sibling_failed");
  });
});

describe("no failure is due", () => {
  test("where the main thread was first: whose thread dies then is canceled for its cause, and a failure is one", () => {
    scope.cancel("deadline");
    failsOnItsThread();
    expect([scope.cause, group.cause]).toEqual(["deadline", "deadline"]);
    rig.dies(first());
    rig.posts(second(), FAILED);
    rig.dies(third());
    expect(seen()).toEqual([
      [0, canceled("deadline", false)],
      [1, FAILED],
      [2, canceled("deadline", false)],
    ]);
  });

  test("where its outcome came before the scope is canceled for it", () => {
    failsOnItsThread();
    rig.posts(first(), FAILED);
    scope.cancel("sibling_failed");
    expect(group.cause).toBe("sibling_failed");
    rig.dies(second());
    expect(seen().at(-1)).toEqual([1, canceled("sibling_failed", false)]);
  });

  test("where its outcome came before the scope is canceled for something else", () => {
    failsOnItsThread();
    rig.posts(first(), FAILED);
    scope.cancel("deadline");
    expect([scope.cause, group.cause]).toEqual(["sibling_failed", "sibling_failed"]);
    rig.dies(second());
    expect(seen().at(-1)).toEqual([1, canceled("sibling_failed", false)]);
  });

  test("where its thread had died before the scope is canceled for something else", () => {
    failsOnItsThread();
    rig.dies(first());
    expect(seen()).toEqual([[0, LOST]]);
    scope.cancel("deadline");
    expect([scope.cause, group.cause]).toEqual(["sibling_failed", "sibling_failed"]);
    rig.dies(second());
    expect(seen().at(-1)).toEqual([1, canceled("sibling_failed", false)]);
  });
});
