import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { Canceled, CancelScope, monotonicMs } from "../../src/threads/index.ts";
import { CAUSES } from "./causes.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const activeTimeouts = () => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;

test("a Canceled carries its cause and no stack, and leaves other errors theirs", () => {
  const limit = Error.stackTraceLimit;
  const canceled = new Canceled("deadline");
  expect(canceled).toBeInstanceOf(Error);
  expect(canceled).toMatchObject({ causedBy: "deadline", name: "Canceled", message: "canceled: deadline" });
  expect(canceled.stack).not.toMatch(/\n\s+at /);
  expect(Error.stackTraceLimit).toBe(limit);
  expect(new Error("plain").stack).toMatch(/\n\s+at /);
});

describe("cancel", () => {
  test.each(CAUSES)("%s wins when it is first, and stays", (first) => {
    const scope = new CancelScope();
    expect(scope.cause).toBeUndefined();
    expect(() => scope.throwIfCanceled()).not.toThrow();
    expect(scope.cancel(first)).toBe(true);
    for (const later of CAUSES) expect(scope.cancel(later)).toBe(false);
    expect(scope.cause).toBe(first);
    expect(() => scope.throwIfCanceled()).toThrow(expect.objectContaining({ name: "Canceled", causedBy: first }));
  });

  test("calls the listeners before it returns, in order, each once; from inside one it is a later cause", () => {
    const scope = new CancelScope();
    const heard: unknown[] = [];
    scope.onCancel((cause) => heard.push("a", cause, scope.cause, scope.cancel("shutdown")));
    scope.onCancel((cause) => heard.push("b", cause));
    expect(scope.listenerCount).toBe(2);
    scope.cancel("deadline");
    scope.cancel("shutdown");
    expect(heard).toEqual(["a", "deadline", "deadline", false, "b", "deadline"]);
    expect(scope.listenerCount).toBe(0);
  });

  test("is noted before the arbiter lets anybody stop, so no step stops before its cancel", () => {
    const scope = new CancelScope();
    let stoppedAtMs = 0;
    scope.decideBy({
      decide(asked) {
        // As a step on another thread that reads the board now.
        stoppedAtMs = monotonicMs();
        return asked;
      },
    });
    scope.cancel("deadline");
    expect(stoppedAtMs).toBeGreaterThan(0);
    expect(scope.canceledAtMs).toBeLessThanOrEqual(stoppedAtMs);
  });
});

describe("a listener", () => {
  test("that comes after the cancel, or from inside another one, is called at once and not kept", () => {
    const scope = new CancelScope();
    const heard: string[] = [];
    scope.onCancel(() => {
      scope.onCancel((cause) => void heard.push(`inner ${cause}`));
      heard.push("outer");
    });
    scope.cancel("deadline");
    const subscription = scope.onCancel((cause) => void heard.push(cause));
    expect([heard, scope.listenerCount]).toEqual([["inner deadline", "outer", "deadline"], 0]);
    subscription.unsubscribe();
    expect(heard).toHaveLength(3);
  });

  test("that has left is not called, also where an earlier one takes it off; leaving twice takes nobody else off", () => {
    const scope = new CancelScope();
    const heard: string[] = [];
    const gone = scope.onCancel(() => void heard.push("gone"));
    scope.onCancel(() => {
      heard.push("stays");
      later.unsubscribe();
    });
    const later = scope.onCancel(() => void heard.push("taken off"));
    scope.onCancel(() => void heard.push("last"));
    for (let n = 0; n < 2; n++) gone.unsubscribe();
    expect(scope.listenerCount).toBe(3);
    scope.cancel("shutdown");
    gone.unsubscribe();
    expect(heard).toEqual(["stays", "last"]);
  });

  test("that has left holds none of the others, for as long as somebody keeps its subscription", async () => {
    const scope = new CancelScope();
    const kept = scope.onCancel(() => {});
    // Not in the test itself, whose variables live as long as it runs.
    const leaves = () => {
      const listener = () => {};
      const subscription = scope.onCancel(listener);
      kept.unsubscribe();
      subscription.unsubscribe();
      return new WeakRef(listener);
    };
    const other = leaves();
    // What a WeakRef was made of stays alive until its turn ends.
    await turn();
    collectGarbage();
    expect([other.deref(), scope.listenerCount]).toEqual([undefined, 0]);
    kept.unsubscribe();
  });

  test("subscribed twice is two subscriptions", () => {
    const scope = new CancelScope();
    let calls = 0;
    const listener = () => void calls++;
    const subscription = scope.onCancel(listener);
    scope.onCancel(listener);
    expect(scope.listenerCount).toBe(2);
    subscription.unsubscribe();
    scope.cancel("shutdown");
    expect(calls).toBe(1);
  });
});

test("a signal aborts with a Canceled after the listeners; one that is made after the cancel is aborted from the start", () => {
  const scope = new CancelScope();
  const { signal } = scope;
  expect(scope.signal).toBe(signal);
  const log: unknown[] = [];
  scope.onCancel(() => log.push(signal.aborted));
  signal.addEventListener("abort", () => log.push(signal.reason));
  scope.cancel("sibling_failed");
  expect(log).toEqual([false, expect.any(Canceled)]);
  const late = new CancelScope();
  late.cancel("deadline");
  expect(late.signal.aborted).toBe(true);
  expect([signal.reason, late.signal.reason]).toMatchObject([
    { name: "Canceled", causedBy: "sibling_failed" },
    { name: "Canceled", causedBy: "deadline" },
  ]);
});

describe("a scope that is linked to another", () => {
  test.each(CAUSES)("takes over %s, also where it was canceled before, and gives none of its own", (cause) => {
    const parent = new CancelScope();
    const [child, other, late] = [new CancelScope(), new CancelScope(), new CancelScope()];
    for (const each of [child, other]) each.link(parent);
    other.cancel("first");
    expect([parent.cause, parent.listenerCount]).toEqual([undefined, 2]);
    parent.cancel(cause);
    late.link(parent);
    expect([child.cause, other.cause, late.cause]).toEqual([cause, "first", cause]);
    expect(parent.listenerCount).toBe(0);
  });

  test("and lets go of it: no listener stays and its cancel is not heard", () => {
    const [parent, child] = [new CancelScope(), new CancelScope()];
    const linked = child.link(parent);
    for (let n = 0; n < 2; n++) linked.unsubscribe();
    expect(parent.listenerCount).toBe(0);
    parent.cancel("shutdown");
    expect(child.cause).toBeUndefined();
  });
});

describe("cancelAfter", () => {
  test("cancels with deadline; stopped, it leaves no timer behind", async () => {
    const scope = new CancelScope();
    const canceled = new Promise<string>((resolve) => scope.onCancel(resolve));
    scope.cancelAfter(0);
    expect(scope.cause).toBeUndefined();
    expect(await canceled).toBe("deadline");
    const before = activeTimeouts();
    const stop = new CancelScope().cancelAfter(2 ** 31 - 1);
    expect(activeTimeouts()).toBe(before + 1);
    for (let n = 0; n < 2; n++) stop();
    expect(activeTimeouts()).toBe(before);
  });

  test.each([-1, Number.NaN, 2 ** 31])("(%s) throws and leaves neither timer nor deadline", (timeoutMs) => {
    const scope = new CancelScope();
    const before = activeTimeouts();
    expect(() => scope.cancelAfter(timeoutMs)).toThrow(RangeError);
    expect([activeTimeouts(), scope.deadlineMs]).toEqual([before, undefined]);
  });
});
