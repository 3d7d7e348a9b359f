import { describe, expect, test } from "vitest";
import { Canceled, CancelScope, monotonicMs } from "../../src/threads/index.ts";
import { CAUSES } from "./causes.ts";

const activeTimeouts = () => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;

describe("a Canceled", () => {
  test("carries its cause and no stack, and leaves other errors theirs", () => {
    const limit = Error.stackTraceLimit;
    const canceled = new Canceled("deadline");
    expect(canceled).toBeInstanceOf(Error);
    expect(canceled.causedBy).toBe("deadline");
    expect(canceled.name).toBe("Canceled");
    expect(canceled.message).toBe("canceled: deadline");
    expect(canceled.stack).not.toMatch(/\n\s+at /);
    expect(Error.stackTraceLimit).toBe(limit);
    expect(new Error("plain").stack).toMatch(/\n\s+at /);
  });
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

  test("calls the listeners before it returns, in order, each once", () => {
    const scope = new CancelScope();
    const heard: string[] = [];
    for (const name of ["a", "b", "c"]) scope.onCancel((cause) => void heard.push(`${name} ${cause}`));
    expect(scope.listenerCount).toBe(3);
    scope.cancel("shutdown");
    expect(heard).toEqual(["a shutdown", "b shutdown", "c shutdown"]);
    scope.cancel("deadline");
    expect(heard).toHaveLength(3);
    expect(scope.listenerCount).toBe(0);
  });

  test("from inside a listener is a later cause, and the cause is visible there", () => {
    const scope = new CancelScope();
    const heard: unknown[] = [];
    scope.onCancel(() => heard.push(scope.cause, scope.cancel("shutdown")));
    scope.onCancel((cause) => heard.push(cause));
    scope.cancel("deadline");
    expect(heard).toEqual(["deadline", false, "deadline"]);
  });
});

describe("onCancel", () => {
  test("after the cancel calls at once and keeps nothing", () => {
    const scope = new CancelScope();
    scope.cancel("client_disconnected");
    const heard: string[] = [];
    const subscription = scope.onCancel((cause) => void heard.push(cause));
    expect(heard).toEqual(["client_disconnected"]);
    expect(scope.listenerCount).toBe(0);
    subscription.unsubscribe();
    expect(heard).toHaveLength(1);
  });

  test("from inside a listener is called at once too", () => {
    const scope = new CancelScope();
    const heard: string[] = [];
    scope.onCancel(() => {
      scope.onCancel((cause) => void heard.push(`inner ${cause}`));
      heard.push("outer");
    });
    scope.cancel("deadline");
    expect(heard).toEqual(["inner deadline", "outer"]);
    expect(scope.listenerCount).toBe(0);
  });

  test("a listener that has left is not called; leaving twice takes nobody else off", () => {
    const scope = new CancelScope();
    const heard: string[] = [];
    const subscription = scope.onCancel(() => void heard.push("gone"));
    scope.onCancel(() => void heard.push("stays"));
    subscription.unsubscribe();
    subscription.unsubscribe();
    expect(scope.listenerCount).toBe(1);
    scope.cancel("shutdown");
    subscription.unsubscribe();
    expect(heard).toEqual(["stays"]);
  });

  test("the same function subscribed twice is two subscriptions", () => {
    const scope = new CancelScope();
    let calls = 0;
    const listener = () => void calls++;
    const subscription = scope.onCancel(listener);
    scope.onCancel(listener);
    expect(scope.listenerCount).toBe(2);
    subscription.unsubscribe();
    expect(scope.listenerCount).toBe(1);
    scope.cancel("shutdown");
    expect(calls).toBe(1);
  });

  test("a listener taken off by an earlier one during the cancel is not called", () => {
    const scope = new CancelScope();
    const heard: string[] = [];
    scope.onCancel(() => {
      heard.push("first");
      later.unsubscribe();
    });
    const later = scope.onCancel(() => void heard.push("taken off"));
    scope.onCancel(() => void heard.push("last"));
    scope.cancel("shutdown");
    expect(heard).toEqual(["first", "last"]);
  });
});

describe("signal", () => {
  test("made before the cancel aborts with a Canceled, after the listeners", () => {
    const scope = new CancelScope();
    const signal = scope.signal;
    expect(scope.signal).toBe(signal);
    const abortedInListener: boolean[] = [];
    scope.onCancel(() => abortedInListener.push(signal.aborted));
    let events = 0;
    signal.addEventListener("abort", () => events++);
    scope.cancel("sibling_failed");
    expect(abortedInListener).toEqual([false]);
    expect(events).toBe(1);
    expect(signal.reason).toBeInstanceOf(Canceled);
    expect(signal.reason).toMatchObject({ causedBy: "sibling_failed" });
  });

  test("made after the cancel is aborted from the start", () => {
    const scope = new CancelScope();
    scope.cancel("deadline");
    expect(scope.signal.aborted).toBe(true);
    expect(scope.signal.reason).toMatchObject({ name: "Canceled", causedBy: "deadline" });
  });
});

describe("follow a scope", () => {
  test.each(CAUSES)("takes over %s", (cause) => {
    const parent = new CancelScope();
    const child = new CancelScope();
    child.link(parent);
    expect(parent.listenerCount).toBe(1);
    parent.cancel(cause);
    expect(child.cause).toBe(cause);
    expect(parent.listenerCount).toBe(0);
  });

  test("that is canceled already cancels at once", () => {
    const parent = new CancelScope();
    parent.cancel("shutdown");
    const child = new CancelScope();
    child.link(parent);
    expect(child.cause).toBe("shutdown");
  });

  test("and let go of it: no listener stays and its cancel is not heard", () => {
    const parent = new CancelScope();
    const child = new CancelScope();
    const linked = child.link(parent);
    linked.unsubscribe();
    linked.unsubscribe();
    expect(parent.listenerCount).toBe(0);
    parent.cancel("shutdown");
    expect(child.cause).toBeUndefined();
  });

  test("a child's cancel does not reach its parent", () => {
    const parent = new CancelScope();
    const child = new CancelScope();
    child.link(parent);
    child.cancel("deadline");
    expect(parent.cause).toBeUndefined();
    parent.cancel("shutdown");
    expect(child.cause).toBe("deadline");
  });
});

describe("cancelAfter", () => {
  test("cancels with deadline", async () => {
    const scope = new CancelScope();
    const canceled = new Promise<string>((resolve) => scope.onCancel(resolve));
    scope.cancelAfter(0);
    expect(scope.cause).toBeUndefined();
    expect(await canceled).toBe("deadline");
  });

  test("stopped leaves no timer behind", () => {
    const scope = new CancelScope();
    const before = activeTimeouts();
    const stop = scope.cancelAfter(2 ** 31 - 1);
    expect(activeTimeouts()).toBe(before + 1);
    stop();
    stop();
    expect(activeTimeouts()).toBe(before);
  });
});

test.each([-1, Number.NaN, 2 ** 31])("cancelAfter(%s) throws and leaves neither timer nor deadline", (timeoutMs) => {
  const scope = new CancelScope();
  const before = activeTimeouts();
  expect(() => scope.cancelAfter(timeoutMs)).toThrow(RangeError);
  expect([activeTimeouts(), scope.deadlineMs]).toEqual([before, undefined]);
});

test("a scope was canceled before its arbiter let anybody stop, so no step stops before its cancel", () => {
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
