import { setImmediate as drainMicrotasks } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Canceled, CancelScope, TaskGroup } from "../../src/threads/index.ts";
import { CAUSES } from "./causes.ts";

/** A task that ends `canceled` as soon as its scope is canceled, and never otherwise. */
const untilCanceled = (scope: CancelScope) => new Promise<never>((_, reject) => scope.onCancel((cause) => reject(new Canceled(cause))));

describe("outcomes", () => {
  test("of no task at all", async () => {
    expect(await new TaskGroup().join()).toEqual({ outcomes: [], firstFailure: undefined, cause: undefined });
  });

  test("are in the order of spawning, whatever the order of ending", async () => {
    const group = new TaskGroup<string>();
    const gates = [Promise.withResolvers<string>(), Promise.withResolvers<string>(), Promise.withResolvers<string>()];
    for (const gate of gates) group.spawn(() => gate.promise);
    for (const index of [2, 0, 1]) {
      gates[index]?.resolve(`task ${index}`);
      await drainMicrotasks();
    }
    const outcomes = [0, 1, 2].map((index) => ({ status: "ok", value: `task ${index}` }));
    expect(await group.join()).toEqual({ outcomes, firstFailure: undefined, cause: undefined });
  });

  test("the first failure cancels the siblings; later failures are kept and do not replace it", async () => {
    const group = new TaskGroup<string>();
    const gates = [Promise.withResolvers<string>(), Promise.withResolvers<string>(), Promise.withResolvers<string>()];
    group.spawn(untilCanceled);
    for (const gate of gates) group.spawn(() => gate.promise);
    const [early, late] = [new Error("early"), new Error("late")];
    gates[2]?.reject(early);
    await drainMicrotasks();
    expect(group.scope.cause).toBe("sibling_failed");
    gates[0]?.reject(late);
    gates[1]?.resolve("done all the same");
    const { outcomes, firstFailure, cause } = await group.join();
    expect(outcomes).toEqual([
      { status: "canceled", cause: "sibling_failed" },
      { status: "failed", error: late },
      { status: "ok", value: "done all the same" },
      { status: "failed", error: early },
    ]);
    expect({ firstFailure, cause }).toEqual({ firstFailure: 3, cause: "sibling_failed" });
  });

  test("a task gets the group's scope and is started at once", () => {
    const group = new TaskGroup<void>();
    let got: CancelScope | undefined;
    group.spawn(async (scope) => {
      got = scope;
    });
    expect(got).toBe(group.scope);
  });

  test("a task that throws before it returns a promise fails, and the next one does not start", async () => {
    const group = new TaskGroup<string>();
    const error = new Error("at once");
    group.spawn(() => {
      throw error;
    });
    let started = false;
    group.spawn(async () => {
      started = true;
      return "never";
    });
    expect(await group.join()).toEqual({
      outcomes: [
        { status: "failed", error },
        { status: "canceled", cause: "sibling_failed" },
      ],
      firstFailure: 0,
      cause: "sibling_failed",
    });
    expect(started).toBe(false);
  });

  test.each([undefined, null, "text"])("a task that throws %s fails with it", async (thrown) => {
    const group = new TaskGroup<string>();
    group.spawn(() => Promise.reject(thrown));
    expect((await group.join()).outcomes).toEqual([{ status: "failed", error: thrown }]);
  });

  test("a Canceled thrown in a group that is not canceled is a failure", async () => {
    const group = new TaskGroup<string>();
    const inner = new Canceled("deadline");
    group.spawn(() => Promise.reject(inner));
    const { outcomes, firstFailure, cause } = await group.join();
    expect(outcomes[0]).toEqual({ status: "failed", error: inner });
    expect({ firstFailure, cause }).toEqual({ firstFailure: 0, cause: "sibling_failed" });
  });
});

describe("failures that are data", () => {
  const isFailure = (value: string) => value.startsWith("bad");

  test("stay ok with their value, are the first failure and cancel the siblings", async () => {
    const group = new TaskGroup<string>({ isFailure });
    group.spawn(untilCanceled);
    group.spawn(async () => "good");
    group.spawn(async () => "bad first");
    group.spawn(async () => "bad second");
    expect(await group.join()).toEqual({
      outcomes: [
        { status: "canceled", cause: "sibling_failed" },
        { status: "ok", value: "good" },
        { status: "ok", value: "bad first" },
        { status: "ok", value: "bad second" },
      ],
      firstFailure: 2,
      cause: "sibling_failed",
    });
  });

  test("without isFailure no value is one", async () => {
    const group = new TaskGroup<string>();
    group.spawn(async () => "bad first");
    expect(await group.join()).toMatchObject({ firstFailure: undefined, cause: undefined });
  });
});

describe("join", () => {
  test("waits for the last task, also one that ignores the cancel", async () => {
    const group = new TaskGroup<string>();
    const gate = Promise.withResolvers<string>();
    group.spawn(() => gate.promise);
    group.spawn(untilCanceled);
    let joined = false;
    const join = group.join().then((result) => {
      joined = true;
      return result;
    });
    group.scope.cancel("shutdown");
    await drainMicrotasks();
    expect(joined).toBe(false);
    gate.resolve("late");
    expect((await join).outcomes).toEqual([
      { status: "ok", value: "late" },
      { status: "canceled", cause: "shutdown" },
    ]);
  });

  test("twice gives the same result, and spawn after it throws without starting the task", async () => {
    const group = new TaskGroup<string>();
    group.spawn(async () => "once");
    const join = group.join();
    expect(group.join()).toBe(join);
    let started = false;
    const spawn = () =>
      group.spawn(async () => {
        started = true;
        return "late";
      });
    expect(spawn).toThrow("spawn after join");
    const result = await join;
    expect(spawn).toThrow("spawn after join");
    expect(started).toBe(false);
    expect(result.outcomes).toHaveLength(1);
  });
});

test("a task has been reported as ended before its siblings are canceled: what they held together can be given back to them", async () => {
  const log: string[] = [];
  const group = new TaskGroup<string>({ onTaskEnded: (index) => log.push(`${index} ended`), isFailure: (value) => value === "bad" });
  const gate = Promise.withResolvers<string>();
  for (let n = 0; n < 2; n++) group.spawn(() => gate.promise);
  group.spawn(untilCanceled);
  group.scope.onCancel((cause) => log.push(cause));
  gate.resolve("bad");
  await group.join();
  expect(log).toEqual(["0 ended", "sibling_failed", "1 ended", "2 ended"]);
});

describe("parent", () => {
  test.each(CAUSES)("scope canceled by %s cancels the group with it", async (cause) => {
    const parent = new CancelScope();
    const group = new TaskGroup<string>({ parent });
    group.spawn(untilCanceled);
    expect([parent.listenerCount, group.scope.listenerCount]).toEqual([1, 1]);
    parent.cancel(cause);
    expect(await group.join()).toEqual({ outcomes: [{ status: "canceled", cause }], firstFailure: undefined, cause });
    expect([parent.listenerCount, group.scope.listenerCount]).toEqual([0, 0]);
  });

  test("scope that is never canceled keeps no listener after the join, and its later cancel changes nothing", async () => {
    const parent = new CancelScope();
    const group = new TaskGroup<string>({ parent });
    group.spawn(async () => "done");
    expect(await group.join()).toMatchObject({ cause: undefined });
    expect(parent.listenerCount).toBe(0);
    parent.cancel("shutdown");
    expect(group.scope.cause).toBeUndefined();
  });

  test("keeps no listener after a failure either, and is not canceled by it", async () => {
    const parent = new CancelScope();
    const group = new TaskGroup<string>({ parent });
    group.spawn(() => Promise.reject(new Error("boom")));
    await group.join();
    expect([parent.cause, parent.listenerCount]).toEqual([undefined, 0]);
  });

  test("canceled before the group exists: no task starts", async () => {
    const parent = new CancelScope();
    parent.cancel("client_disconnected");
    const group = new TaskGroup<string>({ parent });
    let started = false;
    group.spawn(async () => {
      started = true;
      return "never";
    });
    expect(started).toBe(false);
    expect(await group.join()).toEqual({
      outcomes: [{ status: "canceled", cause: "client_disconnected" }],
      firstFailure: undefined,
      cause: "client_disconnected",
    });
  });
});
