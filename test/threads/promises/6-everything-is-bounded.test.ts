import { availableParallelism } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { CancelScope, Refused } from "../../../src/threads/index.ts";
import { SharedCounters } from "../shared-counters.ts";
import { type Loading, type tasks as loading, PAUSES } from "./loading-tasks.ts";
import { Opened, type OpenOptions, statuses } from "./opened.ts";
import type { tasks as counted } from "./plain-tasks.ts";

type Counted = typeof counted;
const open = (options: Omit<OpenOptions, "file"> = {}) => Opened.open<Counted>({ file: "./plain-tasks.ts", ...options });

describe("groups", () => {
  const MOST = 4;

  test("beyond the limit are refused, and a group that has been joined makes room", async () => {
    await using opened = await open({ maxGroups: MOST });
    const { threads } = opened;
    const groups = Array.from({ length: MOST }, () => threads.group());
    expect(() => threads.group()).toThrow(Refused);
    expect(threads.counters().groups).toBe(MOST);
    await groups[0]?.join();
    await using _group = threads.group();
    expect(() => threads.group()).toThrow(Refused);
    for (const group of groups) await group.join();
  });

  test("that could not be opened hold no place", async () => {
    await using opened = await open({ maxGroups: MOST });
    const { threads } = opened;
    const scope = new CancelScope();
    const own = threads.open(scope);
    const canceled = AbortSignal.abort();
    for (let n = 0; n < 3 * MOST; n++) {
      // A second one for the same scope.
      expect(() => threads.open(scope)).toThrow("one group at a time");
      expect(() => threads.group({ priority: 3 })).toThrow(RangeError);
      expect(() => threads.group({ timeoutMs: -1 })).toThrow(RangeError);
      // The controller instead of its signal.
      expect(() => threads.group({ signal: new AbortController() as never, timeoutMs: 1 })).toThrow(/^signal must be an AbortSignal, not /);
      expect(() => threads.group({ timeoutMs: 2 ** 31, signal: canceled })).toThrow(RangeError);
      expect(threads.counters().groups).toBe(1);
    }
    const groups = Array.from({ length: MOST - 1 }, () => threads.group());
    for (const group of groups) await group.join();
    own.close();
    threads.open(scope).close();
    expect(threads.counters().groups).toBe(0);
  });
});

describe("tasks", () => {
  test("that a shared thread may not have any more wait, and each that ends lets the next one begin", async () => {
    await using opened = await open({ maxTasksPerThread: 3 });
    const { threads, counters } = opened;
    const [began = 0] = opened.take(1);
    const gates = opened.take(10);
    await using group = threads.group();
    const all = gates.map((gate) => group.run("waits", { began, gate }));
    for (const [n, gate] of gates.entries()) {
      const most = Math.min(3 + n, 10);
      await counters.reached(began, most);
      expect([counters.read(began), threads.statistics().running]).toEqual([most, most - n]);
      counters.add(gate);
      await all[n];
    }
    expect(counters.read(began)).toBe(10);
  });

  test.each(["shared", "exclusive"] as const)(
    "that wait for a thread of the %s ones, beyond the limit, are refused; cancels make room",
    async (on) => {
      await using opened = await open({ exclusive: 1, exclusiveOnDemand: false, maxTasksPerThread: 1, maxWaiting: 5 });
      const { threads, counters } = opened;
      const [began = 0, gate = 0] = opened.take(2);
      const [running, waiting, more] = [threads.group(), threads.group(), threads.group()];
      running.run("waits", { began, gate }, { on });
      await counters.reached(began);
      for (let n = 0; n < 5; n++) waiting.run("waits", { began, gate }, { on });
      for (let n = 0; n < 3; n++) expect(() => more.run("waits", { began, gate }, { on })).toThrow(Refused);
      // The other kind has a limit of its own.
      const other = more.run("nothing", undefined, { on: on === "shared" ? "exclusive" : "shared" });
      expect((await other.outcome).status).toBe("ok");
      waiting.cancel("superseded");
      expect(statuses((await waiting.join()).outcomes)).toEqual({ canceled: 5 });
      const last = more.run("waits", { began, gate }, { on });
      counters.add(gate);
      expect((await last.outcome).status).toBe("ok");
      for (const group of [running, more]) await group.join();
      expect(counters.read(began)).toBe(2);
      opened.expectIdle();
    },
  );
});

describe("threads", () => {
  const loadingOf = (counters: SharedCounters, crashes: number): Loading => {
    const [starts = 0, loaded = 0, most = 0, gate = 0, crashedAtMs = 0] = Array.from({ length: 5 }, () => counters.take());
    const [pauses = 0] = Array.from({ length: PAUSES }, () => counters.take());
    return { starts, loaded, most, gate, crashes, pauses, crashedAtMs };
  };

  test("that crash when they have loaded, one after the other, start with growing pauses; when the file is well again they serve", async () => {
    const counters = new SharedCounters();
    const CRASHES = 5;
    const own = loadingOf(counters, CRASHES);
    counters.add(own.gate);
    await using opened = await Opened.open<typeof loading>({ file: "./loading-tasks.ts", counters, settings: { loading: own } });
    await counters.reached(own.loaded, CRASHES + 1);
    // The first death may be an accident. From then on each pause is twice the one before, whatever the machine adds to it.
    const pauses = [2, 3, 4, 5].map((n) => counters.read(own.pauses + n));
    for (const [n, ms] of pauses.entries()) expect(ms).toBeGreaterThanOrEqual(100 * 2 ** n - 10);
    await using group = opened.threads.group();
    expect((await group.run("nothing", undefined).outcome).status).toBe("ok");
    await pause(500);
    expect([counters.read(own.starts), opened.threads.statistics().threads.length]).toEqual([CRASHES + 1, 1]);
    // Of a thread that was gone before anybody had read that it was there, only `onFault` tells.
    for (const reason of opened.replaced) expect(reason).toBe("uncaught");
    expect(opened.faults).toEqual(Array.from({ length: CRASHES }, () => "a thread crashed: Error: of the file"));
  });

  test("many at once come up, never more at one time than the limit; killed and closed at once they are gone", async () => {
    const counters = new SharedCounters();
    const own = loadingOf(counters, 0);
    const limit = Math.max(2, availableParallelism());
    const each = Math.max(12, limit);
    const opening = Opened.open<typeof loading>({
      file: "./loading-tasks.ts",
      counters,
      settings: { loading: own },
      shared: each,
      exclusive: each,
      exclusiveOnDemand: false,
    });
    await counters.reached(own.starts, limit);
    // Those that load now load until the gate opens.
    await pause(300);
    expect(counters.read(own.starts)).toBe(limit);
    counters.add(own.gate);
    await using opened = await opening;
    const { threads } = opened;
    expect([threads.statistics().threads.length, counters.read(own.most), threads.alive]).toEqual([2 * each, limit, 2 * each]);
    const [began = 0, gate = 0] = opened.take(2);
    await using group = threads.group();
    for (let n = 0; n < 10 * each; n++) group.run("waits", { began, gate });
    await counters.reached(began, 10 * each);
    for (const { running, pool } of threads.statistics().threads) expect(running).toBe(pool === "shared" ? 10 : 0);
    counters.add(gate);
    expect(statuses((await group.join()).outcomes)).toEqual({ ok: 10 * each });
    for (let n = 0; n < each; n++) threads.killThread();
    await threads.close();
    expect([threads.alive, counters.read(own.most)]).toEqual([0, limit]);
  });
});
