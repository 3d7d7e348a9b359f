import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { monotonicMs, openThreads } from "../../../src/threads/index.ts";
import { eventually } from "../../support/eventually.ts";
import { SharedCounters } from "../shared-counters.ts";
import { type Deadly, FAILING, type Failing, type tasks } from "./hostile-tasks.ts";
import { Opened } from "./opened.ts";

type Tasks = typeof tasks;
const FILE = "./hostile-tasks.ts";
type Group = ReturnType<Opened<Tasks>["threads"]["group"]>;
const NEIGHBORS = 20;

// What would end the process ends this test's: an exception that nobody catches fails the whole file.

describe("on a thread with neighbors that wait", () => {
  let opened: Opened<Tasks>;

  beforeAll(async () => {
    opened = await Opened.open<Tasks>({ file: FILE, graceMs: 60_000 });
  });
  afterAll(() => opened.threads.close());

  /** Runs `act` beside them; then all of them end well, on a thread that is still the same. */
  async function besideNeighbors(act: () => Promise<void>): Promise<void> {
    const { threads, counters } = opened;
    const [began = 0, gate = 0] = opened.take(2);
    const before = threads.statistics().threads.map(({ id, pool }) => [id, pool]);
    const neighbors = threads.group();
    for (let n = 0; n < NEIGHBORS; n++) neighbors.run("waits", { began, gate });
    await counters.reached(began, NEIGHBORS);
    try {
      await act();
      const { threads: after, running } = threads.statistics();
      expect([after.map(({ id, pool }) => [id, pool]), running]).toEqual([before, NEIGHBORS]);
    } finally {
      counters.add(gate);
    }
    const { outcomes } = await neighbors.join();
    expect(outcomes.map(({ status }) => status)).toEqual(Array.from({ length: NEIGHBORS }, () => "ok"));
    expect(opened.replaced).toEqual([]);
    opened.expectIdle();
  }

  test.each(Object.keys(FAILING) as Failing[])(
    "a task that throws %s fails, by name, and none that ends in the same turn",
    async (failing) => {
      await besideNeighbors(async () => {
        const groups = Array.from({ length: 3 }, () => opened.threads.group());
        // One message there, and one back.
        const [first, bad, last] = groups.map((group, n) => (n === 1 ? group.run("fails", failing) : group.run("value", n)));
        expect(await bad?.outcome).toMatchObject({
          status: "failed",
          message: FAILING[failing].message,
          data: undefined,
          keepsSiblings: false,
        });
        expect([await first, await last]).toEqual([0, 2]);
        for (const group of groups) await group.join();
      });
    },
  );

  test.each([
    ["the common port", []],
    ["the library's own port", ["a thread posted what is no message of the library", "forged"]],
  ] as const)("what a task posts on %s is no outcome, no thread that is ready and no message", async (where, told) => {
    opened.faults.length = opened.messages.length = 0;
    await besideNeighbors(async () => {
      await using group = opened.threads.group();
      await group.run("posts", where);
      await eventually("all of it was read", async () => {
        // Its outcome came behind all that was posted on the same port.
        await group.run("value", 1);
        return told.length === 0 || opened.faults.some((fault) => fault.startsWith("forged"));
      });
    });
    expect(opened.messages).toEqual([]);
    expect([...new Set(opened.faults.map((fault) => fault.split(":")[0]))]).toEqual(told);
  });

  test("listeners of a cancel that throw are told of, and neither the next listener nor the task misses its cancel", async () => {
    opened.faults.length = 0;
    await besideNeighbors(async () => {
      const { threads, counters } = opened;
      const [began = 0] = opened.take(1);
      const group = threads.group();
      const task = group.run("listens", began);
      await counters.reached(began);
      group.cancel("superseded");
      expect(await task.outcome).toMatchObject({ status: "canceled", cause: "superseded", stopped: true });
      await group.join();
      expect(counters.read(began)).toBe(2);
      expect(opened.faults).toEqual([
        "a cancel listener threw: null",
        expect.stringContaining("a cancel listener threw: Error: a listener"),
      ]);
    });
  });

  test("promises that a task leaves behind and that are rejected are told of", async () => {
    opened.faults.length = 0;
    await besideNeighbors(async () => {
      await using group = opened.threads.group();
      expect(await group.run("leavesRejections", undefined).outcome).toMatchObject({ status: "ok" });
      await eventually("both were told", () => opened.faults.length >= 2);
      const fault = "a task left a promise behind that was rejected";
      expect(opened.faults).toEqual([`${fault}: null`, expect.stringContaining(`${fault}: Error: left behind`)]);
    });
  });
});

test("an input that its codec cannot encode fails its task, by name, and none that is sent with it", async () => {
  const codec = { encode: ({ deep }: { deep: { n: number } }) => deep.n, decode: (n: number) => n };
  await using opened = await Opened.open<Tasks>({ file: FILE, codecs: { value: codec } });
  const groups = Array.from({ length: 3 }, () => opened.threads.group());
  const [first, bad, last] = groups.map((group, n) => group.run("value", (n === 1 ? n : { deep: { n } }) as number));
  expect(await bad?.outcome).toMatchObject({
    status: "failed",
    message: "the input of the task cannot be sent: Cannot read properties of undefined (reading 'n')",
    error: { name: "TypeError" },
  });
  expect([await first, await last]).toEqual([0, 2]);
  for (const group of groups) await group.join();
  opened.expectIdle();
});

test.each(["constructor", "toString", "__proto__"])(
  "where there are codecs, a task of the name %s that there is not fails",
  async (name) => {
    await using opened = await Opened.open<Tasks>({ file: FILE, codecs: {} });
    await using group = opened.threads.group();
    expect(await group.run(name as never, 1 as never).outcome).toMatchObject({
      status: "failed",
      message: `there is no task "${name}" in the file of tasks`,
    });
  },
);

test("a task that replaces the promises, timers and clock of its thread: its outcome comes, and those of a burst behind it, with their times", async () => {
  await using opened = await Opened.open<Tasks>({ file: FILE });
  const group = opened.threads.group();
  await group.run("replacesGlobals", undefined);
  const sinceMs = monotonicMs();
  let endedAtMs = 0;
  // Far more than start in one slice.
  for (let n = 0; n < 1_000; n++) group.run("value", n).whenEnded((ended) => (endedAtMs = ended.endedAtMs));
  const { outcomes } = await group.join();
  expect(outcomes.slice(1)).toEqual(Array.from({ length: 1_000 }, (_, value) => ({ status: "ok", value })));
  expect([opened.replaced, opened.faults]).toEqual([[], []]);
  // Heartbeats have the same clock: where it stands, a thread is taken for held up.
  expect(endedAtMs).toBeGreaterThan(sinceMs);
  opened.expectIdle();
});

test("what a file posts while it loads comes from its thread, which has the row that shared memory says", async () => {
  const messages: unknown[] = [];
  await using threads = await openThreads<Tasks>({
    file: new URL(FILE, import.meta.url),
    exclusive: 0,
    settings: { counters: new SharedCounters().buffer, postsWhileLoading: true },
    onMessage: (value, threadId) => messages.push([value, threadId]),
  });
  const [thread] = threads.statistics().threads;
  expect(thread).toMatchObject({ pool: "shared", running: 0 });
  expect(messages).toEqual([["loading", thread?.id]]);
});

interface Death {
  readonly canceled?: boolean;
  /** For what its thread may be replaced: a loop may have stood still for two seconds before anybody was able to look. */
  readonly reasons: readonly string[];
  readonly fault?: RegExp;
}

const DEATHS: Record<Deadly, Death> = {
  exit: { reasons: ["exit"] },
  closes: { reasons: ["uncaught"], fault: /^a thread crashed: Error: a task closed the port of its thread$/ },
  // Nobody knows whose outcome it was.
  unreadable: { reasons: ["uncaught"], fault: /^a thread posted what cannot be read: / },
  nested: { reasons: ["uncaught"], fault: /^a thread posted what cannot be read: RangeError/ },
  timer: { reasons: ["uncaught"], fault: /^a thread crashed: Error: in a timer/ },
  timerWithNull: { reasons: ["uncaught"], fault: /^a thread crashed: null$/ },
  microtask: { reasons: ["uncaught"], fault: /^a thread crashed: Error: in a microtask/ },
  // Its thread may spend its last seconds in the collector.
  heap: { reasons: ["out_of_memory", "heartbeat"], fault: /^a thread crashed: Error .*JS heap out of memory$/ },
  loop: { canceled: true, reasons: ["grace", "heartbeat"] },
  atomicsWait: { canceled: true, reasons: ["grace", "heartbeat"] },
};

describe.concurrent("that ends its thread", () => {
  test.each(Object.entries(DEATHS) as [Deadly, Death][])(
    "%s: it is told to those on the thread, and to nobody else",
    async (deadly, { canceled = false, reasons, fault }) => {
      await using opened = await Opened.open<Tasks>({ file: FILE, exclusive: 1, exclusiveOnDemand: false, graceMs: 20, heapMb: 48 });
      const { threads, counters } = opened;
      const [began = 0, gate = 0, death = 0] = opened.take(3);
      const groups = Array.from({ length: 4 }, () => threads.group());
      const [beside, again, elsewhere, own] = groups as [Group, Group, Group, Group];
      const neighbor = beside.run("waits", { began, gate });
      const repeated = again.run("waits", { began, gate }, { idempotent: true });
      const faraway = elsewhere.run("waits", { began, gate }, { on: "exclusive" });
      await counters.reached(began, 3);
      const bad = own.run("dies", { deadly, began: death });
      await counters.reached(death);
      if (canceled) own.cancel("superseded");
      const expected = canceled ? { status: "canceled", cause: "superseded", stopped: false } : { status: "lost" };
      expect(await bad.outcome).toMatchObject({ ...expected, started: true });
      const lost = await neighbor.outcome;
      const [reason] = opened.replaced;
      expect(reasons).toContain(reason);
      expect(lost).toEqual({ status: "lost", reason: `thread ended: ${reason}`, started: true });
      // It begins anew, on the next thread.
      await counters.reached(began, 4);
      expect([repeated.settled, faraway.settled]).toEqual([false, false]);
      counters.add(gate);
      expect([await repeated.outcome, await faraway.outcome]).toMatchObject([{ status: "ok" }, { status: "ok" }]);
      for (const group of groups) await group.join();
      expect([opened.replaced, counters.read(death)]).toEqual([[reason], 1]);
      // Where it was found in its last seconds, its death may tell the rest.
      if (reason !== "heartbeat" || fault === undefined) expect(opened.faults).toEqual(fault ? [expect.stringMatching(fault)] : []);
      opened.expectIdle();
    },
  );
});
