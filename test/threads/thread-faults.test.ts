import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setImmediate as turn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { CancelScope } from "../../src/concurrency/cancel-scope.ts";
import { Capacity } from "../../src/concurrency/capacity.ts";
import { Pipeline } from "../../src/orders/pipeline.ts";
import type { StepOutcome } from "../../src/orders/step.ts";
import type { ReplaceReason } from "../../src/threads/pool-thread.ts";
import { eventually } from "../support/eventually.ts";
import type { Act, ActName } from "./act.ts";
import { inputFor, type LoneStep, Rig } from "./rig.ts";

const OK: StepOutcome = { status: "ok" };
const lost = (reason: ReplaceReason): StepOutcome => ({ status: "lost", reason: `thread ended: ${reason}`, effect: "unknown" });
const canceled = (effect: "none" | "unknown" = "unknown"): StepOutcome => ({ status: "canceled", cause: "client_disconnected", effect });

/** Faults by which a thread ends itself, and as what it is counted. */
const DEATHS: readonly (readonly [ActName, ReplaceReason])[] = [
  ["exit", "exit"],
  ["throw_later", "uncaught"],
  ["throw_in_microtask", "uncaught"],
  ["throw_null_later", "uncaught"],
  ["reject_unhandled", "uncaught"],
  ["out_of_memory", "out_of_memory"],
];

/** What is true after any fault that cost one thread. */
async function expectRecovered(rig: Rig, reason: ReplaceReason, computes = false): Promise<void> {
  rig.expectIdle();
  expect(rig.faults).toEqual([]);
  // The next step works, though its thread may still be starting.
  const next = rig.lone("succeed", { computes });
  expect(await next.outcome).toEqual(OK);
  expect(rig.runsOf(next)).toBe(1);
  expect(rig.reasons()).toEqual([reason]);
  expect(Object.fromEntries(rig.runtime.replaced())).toEqual({ [reason]: 1 });
  await rig.allThreadsUp();
  rig.expectIdle();
}

/** A step on each of two threads of the shared pool: the pool spreads them, and the test makes sure of it. */
async function onTwoThreads(rig: Rig): Promise<readonly [LoneStep, LoneStep]> {
  const first = await rig.running("wait");
  const second = await rig.running("wait");
  const shared = rig.runtime.threads().filter(({ pool }) => pool === "shared");
  expect(shared.map(({ running }) => running)).toEqual([1, 1]);
  return [first, second];
}

describe.each([
  ["shared", false],
  ["exclusive", true],
])("a thread of the %s pool that ends by itself", (pool, computes) => {
  test.each(DEATHS)("%s", async (act, reason) => {
    await using rig = await Rig.start({ threads: 2, cpuThreads: 2, heapLimitMb: 32 });
    const elsewhere = await rig.running("wait", { computes });
    const before = rig.runtime.totals();

    const victim = await rig.running(rig.act(act, { calls: true }), { computes });
    expect(await victim.outcome).toEqual(lost(reason));

    // The other thread's step runs on, and is all that the books hold.
    expect(rig.runtime.totals()).toEqual({ running: 1, started: before.started + 1, finished: before.finished + 1 });
    expect(rig.runtime.counters()).toMatchObject({ slots: 1, unsettled: 1, exclusivePermits: computes ? 1 : 0 });
    expect(rig.replacements).toMatchObject([{ pool, reason }]);
    rig.open(elsewhere);
    expect(await elsewhere.outcome).toEqual(OK);
    await expectRecovered(rig, reason, computes);
  });
});

test("a thread that dies takes the other steps on it along, each with the outcome that is its own", async () => {
  await using rig = await Rig.start({ threads: 1 });
  const innocent = await rig.running("wait");
  // Deaf, so that it is still there when the thread dies.
  const deaf = await rig.running("wait_deaf");
  const endedBefore = await rig.running("wait");
  rig.open(endedBefore);
  expect(await endedBefore.outcome).toEqual(OK);
  deaf.scope.cancel("client_disconnected");
  const victim = await rig.running("exit");
  expect(await Promise.all([innocent, deaf, victim].map(({ outcome }) => outcome))).toEqual([lost("exit"), canceled(), lost("exit")]);
  await expectRecovered(rig, "exit");
});

test("a step that is no async function ends when it returns, and the steps that came with it notice nothing", async () => {
  await using rig = await Rig.start({ threads: 1, cpuThreads: 1 });
  const capacities = { payment: new Capacity(1), vendor: new Capacity(1), courier: new Capacity(1) };
  const acts = { payment: rig.act("succeed"), vendor: rig.act("return_nothing"), courier: rig.act("succeed") };
  const { steps } = await new Pipeline(rig.runtime, capacities).run(inputFor(acts), new CancelScope());
  expect(steps.map(({ outcome }) => outcome)).toEqual([OK, OK, OK]);
  expect(rig.replacements).toEqual([]);
});

test("the order on a lost thread ends as internal with its capacity given back; the one beside it is placed", async () => {
  await using rig = await Rig.start({ threads: 1, cpuThreads: 1 });
  const capacities = { payment: new Capacity(2), vendor: new Capacity(2), courier: new Capacity(2) };
  const pipeline = new Pipeline(rig.runtime, capacities);
  const inUse = () => Object.values(capacities).map((capacity) => capacity.inUse);
  const fine = { payment: rig.act("succeed"), vendor: rig.act("wait"), courier: rig.act("succeed") };
  const doomed = { payment: rig.act("wait_then_exit"), vendor: rig.act("succeed"), courier: rig.act("succeed") };
  const [fineScope, doomedScope] = [new CancelScope(), new CancelScope()];

  const good = pipeline.run(inputFor(fine), fineScope);
  // Computes, so it is on the thread of the other pool.
  const bad = pipeline.run({ ...inputFor(doomed), simulation: { cpuMs: { payment: 1 } } }, doomedScope);
  await Promise.all([rig.cells.reached(doomed.payment.runs), rig.cells.reached(fine.vendor.runs)]);
  await eventually("two steps to be left", () => inUse().join() === "1,1,0");
  rig.open({ act: doomed.payment });
  const { steps, error } = await bad;

  expect(error).toBe("internal");
  expect(steps.map(({ outcome }) => outcome)).toEqual([lost("exit"), OK, OK]);
  expect(inUse()).toEqual([0, 1, 0]);
  rig.open({ act: fine.vendor });
  expect(await good).not.toHaveProperty("error");
  expect(inUse()).toEqual([0, 0, 0]);
  expect([fineScope.listenerCount, doomedScope.listenerCount]).toEqual([0, 0]);
  await expectRecovered(rig, "exit", true);
});

describe("killThread", () => {
  test("terminates the busiest thread; steps of other threads notice nothing", async () => {
    await using rig = await Rig.start({ threads: 2 });
    const [first, second] = await onTwoThreads(rig);
    const third = await rig.running("wait");
    // The tie is broken by order, so the first thread has two.
    const busiest = rig.runtime.threads().find(({ running }) => running === 2);
    expect(rig.runtime.killThread()).toBe(busiest?.id);
    expect(rig.replacements).toEqual([]);

    expect(await Promise.all([first.outcome, third.outcome])).toEqual([lost("chaos"), lost("chaos")]);
    expect(rig.replacements).toEqual([{ pool: "shared", threadId: busiest?.id, reason: "chaos" }]);
    expect(rig.runtime.totals().running).toBe(1);
    rig.open(second);
    expect(await second.outcome).toEqual(OK);
    await expectRecovered(rig, "chaos");
  });

  test("a step that was canceled is canceled, though its thread did not let it stop", async () => {
    await using rig = await Rig.start({ threads: 1 });
    const step = await rig.running("ignore_cancel");
    step.scope.cancel("client_disconnected");
    rig.runtime.killThread();
    expect(await step.outcome).toEqual(canceled());
    await expectRecovered(rig, "chaos");
  });

  test("steps that wait for the replacement run on it once; canceled meanwhile, they end at once and never run", async () => {
    await using rig = await Rig.start({ threads: 1, startFaults: [undefined, undefined, "wait_at_gate"] });
    const victim = await rig.running("wait");
    rig.runtime.killThread();
    const [patient, impatient] = [rig.lone("succeed"), rig.lone("succeed")];
    await victim.ended;
    await turn();
    expect(rig.runtime.counters()).toMatchObject({ slots: 2, unsettled: 2 });
    // There is no thread yet that could say so.
    impatient.scope.cancel("client_disconnected");
    expect(await impatient.outcome).toEqual(canceled("none"));
    rig.cells.add(rig.startGate);
    expect(await patient.outcome).toEqual(OK);
    expect([rig.runsOf(patient), rig.runsOf(impatient)]).toEqual([1, 0]);
    await expectRecovered(rig, "chaos");
  });

  test("an exclusive thread gets no second step while another one is being replaced", async () => {
    const startFaults = [undefined, undefined, undefined, "wait_at_gate"] as const;
    await using rig = await Rig.start({ threads: 1, cpuThreads: 2, startFaults });
    const [first, victim] = [await rig.running("compute", { computes: true }), await rig.running("wait_then_exit", { computes: true })];
    rig.open(victim);
    expect(await victim.outcome).toEqual(lost("exit"));
    const second = rig.lone("succeed", { computes: true });
    for (let n = 0; n < 3; n++) await turn();
    // It has its permit, but would have to share a thread that computes. Sent there, it could not end before the other.
    expect(rig.runtime.counters()).toMatchObject({ exclusivePermits: 2, exclusiveWaiting: 0, unsettled: 2 });
    second.scope.cancel("client_disconnected");
    expect(await second.outcome).toEqual(canceled("none"));
    const third = rig.lone("succeed", { computes: true });
    rig.open(first);
    expect(await first.outcome).toEqual(OK);
    expect(await third.outcome).toEqual(OK);
    expect(rig.runsOf(second)).toBe(0);
    rig.cells.add(rig.startGate);
    await expectRecovered(rig, "exit", true);
  });

  test("every thread at once: all are replaced", async () => {
    await using rig = await Rig.start({ threads: 3, cpuThreads: 2 });
    const before = rig.runtime.threads().map(({ id }) => id);
    const steps = await Promise.all([1, 2, 3, 4, 5].map((n) => rig.running("wait", { computes: n > 3 })));
    while (rig.runtime.killThread() !== undefined);
    for (const step of steps) expect(await step.outcome).toEqual(lost("chaos"));
    rig.expectIdle();
    await rig.allThreadsUp();
    expect(rig.runtime.threads().filter(({ id }) => before.includes(id))).toEqual([]);
    expect(Object.fromEntries(rig.runtime.replaced())).toEqual({ chaos: 5 });
    const next = [1, 2, 3, 4, 5].map((n) => rig.lone("succeed", { computes: n > 3 }));
    for (const step of next) expect(await step.outcome).toEqual(OK);
    rig.expectIdle();
  });

  test("with no step anywhere it takes an idle thread", async () => {
    await using rig = await Rig.start({ threads: 1, cpuThreads: 1 });
    expect(rig.runtime.killThread()).toBeTypeOf("number");
    await eventually("the replacement", () => rig.replacements.length === 1);
    await expectRecovered(rig, "chaos");
  });
});

describe("a canceled step that does not stop", () => {
  const GRACE_MS = 60;

  test.each([
    ["spin", false],
    ["spin", true],
    ["ignore_cancel", true],
  ] as const)("%s (exclusive: %s): its thread is replaced, the others stay", async (act, computes) => {
    await using rig = await Rig.start({ threads: 2, cpuThreads: 2, cancelGraceMs: GRACE_MS });
    const elsewhere = await rig.running("wait", { computes });
    const stuck = await rig.running(act, { computes });
    // Its thread has two steps now, one of them canceled; an exclusive one has only the stuck one.
    const beside = computes ? undefined : await besideOf(rig, elsewhere, stuck);

    stuck.scope.cancel("client_disconnected");
    expect(rig.runtime.counters().watchedGroups).toBe(1);
    expect(await stuck.outcome).toEqual(canceled());
    if (beside !== undefined) expect(await beside.outcome).toEqual(lost("grace"));

    expect(rig.runtime.totals().running).toBe(1);
    rig.open(elsewhere);
    expect(await elsewhere.outcome).toEqual(OK);
    await expectRecovered(rig, "grace", computes);
  });

  test("ignore_cancel on a thread that is well: only its own order is over, and the thread goes when the other steps on it have", async () => {
    // Long enough for a heartbeat within it on any machine.
    await using rig = await Rig.start({ threads: 2, cpuThreads: 1, cancelGraceMs: 500 });
    const ids = () =>
      rig.runtime
        .threads()
        .filter(({ pool }) => pool === "shared")
        .map(({ id, running }) => [id, running]);
    const elsewhere = await rig.running("wait");
    const deaf = [await rig.running(rig.act("ignore_cancel", { calls: true }))];
    const beside = await besideOf(rig, elsewhere, deaf[0] as LoneStep);
    await rig.cells.reached(beside.act.runs);
    const before = ids();
    for (const { scope } of deaf) scope.cancel("client_disconnected");
    expect(await deaf[0]?.outcome).toEqual(canceled());
    // Another thread takes its place, and it is counted as replaced, but goes on with what it has.
    expect(rig.replacements).toMatchObject([{ pool: "shared", reason: "grace" }]);
    await eventually("the replacement", () => ids().length === 3);
    expect(ids().slice(0, 2)).toEqual([before[0], [before[1]?.[0], 1]]);
    expect(rig.runtime.totals().running).toBe(2);
    expect(rig.runtime.counters()).toMatchObject({ slots: 2, unsettled: 2 });
    // It gets no step any more, though it has as few as others.
    const next = await Promise.all([rig.running("wait"), rig.running("wait"), rig.running("wait")]);
    expect(ids()[1]).toEqual([before[1]?.[0], 1]);
    for (const step of [...next, elsewhere]) rig.open(step);
    for (const step of [...next, elsewhere]) expect(await step.outcome).toEqual(OK);
    expect(rig.runtime.totals().running).toBe(1);
    rig.open(beside);
    expect(await beside.outcome).toEqual(OK);
    await expectRecovered(rig, "grace");
    expect(ids().some(([id]) => id === before[1]?.[0])).toBe(false);
  });

  test("in quarantine: one that ends late is counted once, a second one that ignores its cancel ends with the thread, and so does what takes too long", async () => {
    await using rig = await Rig.start({ threads: 1, cpuThreads: 1, cancelGraceMs: 500, longestStepMs: 2_000 });
    const [late, deaf, endless] = [await rig.running("wait_deaf"), await rig.running("ignore_cancel"), await rig.running("wait")];
    late.scope.cancel("client_disconnected");
    expect(await late.outcome).toEqual(canceled());
    const { started } = rig.runtime.totals();
    const counts = { running: 2, started, finished: started - 2 };
    expect(rig.runtime.totals()).toEqual(counts);
    rig.open(late);
    await rig.cells.reached(late.act.ends);
    deaf.scope.cancel("client_disconnected");
    expect(await deaf.outcome).toEqual(canceled());
    expect(rig.runtime.totals()).toEqual({ running: 1, started, finished: started - 1 });
    // Nobody cancels it, so only the bound ends it.
    expect(await endless.outcome).toEqual(lost("grace"));
    await expectRecovered(rig, "grace");
  });

  test("more threads than may be in quarantine at one time: the next one is killed", async () => {
    await using rig = await Rig.start({ threads: 1, cpuThreads: 1, cancelGraceMs: 500 });
    const first = [await rig.running("ignore_cancel"), await rig.running("wait")] as const;
    first[0].scope.cancel("client_disconnected");
    expect(await first[0].outcome).toEqual(canceled());
    const second = [await rig.running("ignore_cancel"), await rig.running("wait")] as const;
    second[0].scope.cancel("client_disconnected");
    expect(await second[0].outcome).toEqual(canceled());
    expect(await second[1].outcome).toEqual(lost("grace"));
    rig.open(first[1]);
    expect(await first[1].outcome).toEqual(OK);
    rig.expectIdle();
    expect(rig.reasons()).toEqual(["grace", "grace"]);
    await rig.allThreadsUp();
  });

  /** A step on the thread of `stuck`. It may not be able to start there, so it does not wait for that. */
  async function besideOf(rig: Rig, elsewhere: LoneStep, stuck: LoneStep): Promise<LoneStep> {
    expect(rig.runsOf(elsewhere) + rig.runsOf(stuck)).toBe(2);
    // With one step on each thread the pool takes the first one, which `elsewhere` has; the next is the other's.
    const filler = await rig.running("wait");
    const beside = rig.lone("wait");
    // Sent at the end of this turn or the next; before that the filler must not end, or the threads would be even again.
    for (let turns = 0; turns < 2; turns++) await new Promise((resolve) => setImmediate(resolve));
    rig.open(filler);
    await filler.ended;
    return beside;
  }

  test("in a native call: its thread is replaced when the call lets it", async () => {
    await using rig = await Rig.start({ threads: 1, cpuThreads: 1, cancelGraceMs: GRACE_MS });
    const elsewhere = await rig.running("wait");
    const stuck = await rig.running(rig.act("native_call", { ms: 1500 }), { computes: true });
    stuck.scope.cancel("client_disconnected");
    // Whether it still ran when the grace was over is a matter of the machine's speed; it must have been so here.
    expect(await stuck.outcome).toEqual(canceled());
    expect(rig.cells.read(stuck.act.ends)).toBe(0);
    rig.open(elsewhere);
    expect(await elsewhere.outcome).toEqual(OK);
    await expectRecovered(rig, "grace", true);
  });

  test("a step that stops within the grace costs nothing, however long it took before", async () => {
    await using rig = await Rig.start({ threads: 1, cancelGraceMs: GRACE_MS });
    for (let n = 0; n < 5; n++) {
      const step = await rig.running("sleep");
      await new Promise((resolve) => setTimeout(resolve, GRACE_MS));
      step.scope.cancel("client_disconnected");
      expect(await step.outcome).toEqual(canceled("none"));
      rig.expectIdle();
    }
    await new Promise((resolve) => setTimeout(resolve, 2 * GRACE_MS));
    expect(rig.replacements).toEqual([]);
  });

  // Until just past the end of the grace, and well past it.
  test.each([GRACE_MS + 2, 1.5 * GRACE_MS])("a stall of the main thread of %i ms is not held against the threads", async (stallMs) => {
    await using rig = await Rig.start({ threads: 1, cancelGraceMs: GRACE_MS });
    const bystander = await rig.running("wait");
    for (let n = 0; n < 5; n++) {
      const step = await rig.running("sleep");
      // From here the timers come next; from where the step's start was heard of, what it says would.
      await turn();
      const end = performance.now() + stallMs;
      step.scope.cancel("client_disconnected");
      // It stops in time, but nobody is there to hear of it.
      rig.cells.block(step.act.ends);
      while (performance.now() < end);
      expect(await step.outcome).toEqual(canceled("none"));
    }
    rig.open(bystander);
    expect(await bystander.outcome).toEqual(OK);
    rig.expectIdle();
    expect(rig.replacements).toEqual([]);
  });

  test("a thread that computes within its bounds is overloaded, not stuck", async () => {
    await using rig = await Rig.start({ threads: 1, cancelGraceMs: GRACE_MS });
    const canceledStep = await rig.running("sleep");
    // Holds the event loop for more than the grace, but says with every checkpoint that it is alive.
    const busy = await rig.running(rig.act("compute_ms", { ms: 4 * GRACE_MS }));
    canceledStep.scope.cancel("client_disconnected");
    expect(await busy.outcome).toEqual(OK);
    expect(await canceledStep.outcome).toEqual(canceled("none"));
    rig.expectIdle();
    expect(rig.replacements).toEqual([]);
  });
});

// Windows has no such signals.
test.skipIf(process.platform === "win32")(
  "a stop of the whole process in the middle of a cancel is not held against its threads",
  async () => {
    const child = spawn(process.execPath, [fileURLToPath(new URL("./stopped-process.ts", import.meta.url))]);
    const lines: string[] = [];
    let wakeAtMs = Number.POSITIVE_INFINITY;
    createInterface(child.stdout).on("line", (line) => {
      const [, stopMs] = /^stopping for (\d+)$/.exec(line) ?? [];
      if (stopMs === undefined) lines.push(line);
      else wakeAtMs = performance.now() + Number(stopMs);
    });
    createInterface(child.stderr).on("line", (line) => lines.push(line));
    // Again and again, as a first signal might come before the stop.
    const wakeUp = setInterval(() => performance.now() >= wakeAtMs && child.kill("SIGCONT"), 20);
    try {
      const [code] = await once(child, "close");
      expect({ code, lines }).toEqual({ code: 0, lines: ["stopped 10 times, canceled 10 steps, replaced 0 threads"] });
    } finally {
      clearInterval(wakeUp);
      child.kill("SIGKILL");
    }
  },
);

describe("the heartbeat", () => {
  test("replaces threads that hang with no order canceled, and no others", async () => {
    await using rig = await Rig.start({ threads: 2, cpuThreads: 2 });
    const elsewhere = await rig.running("wait");
    // Long past the limit, computing and beating: alive.
    const computing = await rig.running("compute", { computes: true });
    const stuck = [await rig.running("spin"), await rig.running("spin", { computes: true })];
    expect(rig.runtime.totals().running).toBe(4);
    for (const step of stuck) expect(await step.outcome).toEqual(lost("heartbeat"));
    expect(rig.runtime.totals().running).toBe(2);
    for (const step of [elsewhere, computing]) {
      rig.open(step);
      expect(await step.outcome).toEqual(OK);
    }
    rig.expectIdle();
    expect(rig.reasons()).toEqual(["heartbeat", "heartbeat"]);
    await rig.allThreadsUp();
    expect(await rig.lone("succeed").outcome).toEqual(OK);
    expect(await rig.lone("succeed", { computes: true }).outcome).toEqual(OK);
    rig.expectIdle();
  });
});

describe("a step whose thread is lost under it", () => {
  test.each([
    ["runs again where it is retryable", true, OK, 2],
    ["is lost where it is not", false, lost("exit"), 1],
  ] as const)("%s", async (_what, retryable, outcome, runs) => {
    await using rig = await Rig.start({ threads: 1 });
    const step = rig.lone("exit_once", { retryable });
    expect(await step.outcome).toEqual(outcome);
    expect(rig.runsOf(step)).toBe(runs);
    await expectRecovered(rig, "exit");
  });

  test.each([false, true])("retryable (exclusive: %s), but it kills every thread: is lost after two repeats", async (computes) => {
    await using rig = await Rig.start({ threads: 1, cpuThreads: 1 });
    const step = rig.lone("exit", { retryable: true, computes });
    expect(await step.outcome).toEqual(lost("exit"));
    expect(rig.runsOf(step)).toBe(3);
    rig.expectIdle();
    expect(rig.reasons()).toEqual(["exit", "exit", "exit"]);
    expect(await rig.lone("succeed", { computes }).outcome).toEqual(OK);
    await rig.allThreadsUp();
  });

  test("retryable and canceled before its repeat: not run again, and what the first run did is unknown", async () => {
    await using rig = await Rig.start({ threads: 1 });
    const step = await rig.running(rig.act("wait", { calls: true }), { retryable: true });
    rig.runtime.killThread();
    await eventually("the thread to be gone", () => rig.replacements.length === 1);
    expect(rig.runtime.counters()).toMatchObject({ slots: 1, unsettled: 1 });
    step.scope.cancel("client_disconnected");
    expect(await step.outcome).toEqual(canceled());
    expect(rig.runsOf(step)).toBe(1);
    await expectRecovered(rig, "chaos");
  });

  test("retryable and canceled while it ran: canceled, not repeated", async () => {
    await using rig = await Rig.start({ threads: 1 });
    const step = await rig.running("ignore_cancel", { retryable: true });
    step.scope.cancel("client_disconnected");
    rig.runtime.killThread();
    expect(await step.outcome).toEqual(canceled());
    expect(rig.runsOf(step)).toBe(1);
    await expectRecovered(rig, "chaos");
  });
});

describe("what a step throws", () => {
  test.each(["throw_in_step", "throw_odd_value"] as const)("%s: fails it as internal and leaves its thread alone", async (act) => {
    await using rig = await Rig.start({ threads: 1 });
    const beside = await rig.running("wait");
    for (const calls of [false, true]) {
      const outcome = await rig.lone(rig.act(act, { calls })).outcome;
      expect(outcome).toEqual({ status: "failed", kind: "internal", effect: calls ? "unknown" : "none" });
    }
    rig.open(beside);
    expect(await beside.outcome).toEqual(OK);
    rig.expectIdle();
    expect(rig.replacements).toEqual([]);
  });
});

describe("a thread that dies while it starts", () => {
  test.each(["exit", "throw", "exit_after_ready"] as const)("by %s, at the first start: the runtime still comes up", async (fault) => {
    await using rig = await Rig.start({ threads: 2, startFaults: [fault, undefined, fault] });
    // A thread that dies after it said that it is ready may be counted as up for a moment.
    await eventually("both deaths to be known", () => rig.replacements.length === 2);
    await rig.allThreadsUp();
    for (let n = 0; n < 4; n++) expect(await rig.lone("succeed", { computes: n % 2 === 0 }).outcome).toEqual(OK);
    rig.expectIdle();
  });

  test.each(["exit", "throw", "exit_after_ready"] as const)("by %s, as a replacement: is replaced in turn", async (fault) => {
    await using rig = await Rig.start({ threads: 1, cpuThreads: 1, startFaults: [undefined, undefined, fault, fault] });
    const victim = await rig.running("wait");
    rig.runtime.killThread();
    expect(await victim.outcome).toEqual(lost("chaos"));
    // Waits through all the failed starts.
    const next = rig.lone("succeed");
    expect(await next.outcome).toEqual(OK);
    expect(rig.runsOf(next)).toBe(1);
    rig.expectIdle();
    const deaths = fault === "throw" ? "uncaught" : "exit";
    expect(rig.reasons()).toEqual(["chaos", deaths, deaths]);
    await rig.allThreadsUp();

    // And replacing goes on working after that: Piscina by itself would have given up.
    for (let n = 0; n < 2; n++) {
      const again = await rig.running("exit");
      expect(await again.outcome).toEqual(lost("exit"));
      expect(await rig.lone("succeed").outcome).toEqual(OK);
    }
    rig.expectIdle();
  });

  test("after it claimed its row and before it said so: the row is free again", async () => {
    // There are three times as many rows as threads; were these not given back, they would leave one for two threads. And no pool has
    // so many of them in a row that its start fails.
    const startFaults = Array.from({ length: 5 }, () => "exit_before_ready" as const);
    await using rig = await Rig.start({ threads: 1, cpuThreads: 1, startFaults });
    expect(rig.reasons()).toEqual(startFaults.map(() => "exit"));
    expect(await rig.lone("succeed").outcome).toEqual(OK);
    expect(await rig.lone("succeed", { computes: true }).outcome).toEqual(OK);
    rig.expectIdle();
  });

  test("terminated from outside while it loads: is replaced, and nobody else", async () => {
    const workers: Worker[] = [];
    const onWorker = (worker: Worker) => workers.push(worker);
    process.on("worker", onWorker);
    try {
      await using rig = await Rig.start({ threads: 1, cpuThreads: 1, startFaults: [undefined, undefined, "wait_at_gate"] });
      expect(workers).toHaveLength(2);
      const elsewhere = await rig.running("wait", { computes: true });
      const victim = rig.lone("exit");
      expect(await victim.outcome).toEqual(lost("exit"));
      await eventually("the replacement to load", () => rig.cells.read(rig.starts) === 3);
      expect(workers).toHaveLength(3);
      const waiting = rig.lone("succeed");
      await workers[2]?.terminate();
      expect(await waiting.outcome).toEqual(OK);
      rig.open(elsewhere);
      expect(await elsewhere.outcome).toEqual(OK);
      rig.expectIdle();
      expect(rig.reasons()).toEqual(["exit", "exit"]);
      await rig.allThreadsUp();
      expect(workers).toHaveLength(4);
    } finally {
      process.off("worker", onWorker);
    }
  });

  test("that hangs while it loads, as a replacement: is replaced in turn, and what waits for a thread runs then", async () => {
    await using rig = await Rig.start({
      threads: 1,
      cpuThreads: 1,
      startTimeoutMs: 3_000,
      startFaults: [undefined, undefined, "wait_at_gate"],
    });
    const victim = await rig.running("wait");
    rig.runtime.killThread();
    expect(await victim.outcome).toEqual(lost("chaos"));
    expect(await rig.lone("succeed").outcome).toEqual(OK);
    rig.expectIdle();
    // On a slow machine it may have been too little time for a thread that does not hang, too.
    expect(new Set(rig.reasons())).toEqual(new Set(["chaos", "heartbeat"]));
    await rig.allThreadsUp();
  });

  test("that hangs while it loads, at the first start: the runtime comes up with another; if all hang, the start fails", async () => {
    await using rig = await Rig.start({ threads: 1, cpuThreads: 1, startTimeoutMs: 3_000, startFaults: ["wait_at_gate"] });
    expect(new Set(rig.reasons())).toEqual(new Set(["heartbeat"]));
    expect(await rig.lone("succeed").outcome).toEqual(OK);
    expect(await rig.lone("succeed", { computes: true }).outcome).toEqual(OK);
    const hang = Rig.start({
      threads: 5,
      cpuThreads: 1,
      startTimeoutMs: 1_000,
      startFaults: Array.from({ length: 12 }, () => "wait_at_gate"),
    });
    await expect(hang).rejects.toThrow("pool do not start: they do not load in time");
  });

  test("the first threads terminated at once: the runtime still comes up", async () => {
    const workers: Worker[] = [];
    const onWorker = (worker: Worker) => {
      workers.push(worker);
      if (workers.length <= 2) void worker.terminate();
    };
    process.on("worker", onWorker);
    try {
      await using rig = await Rig.start({ threads: 1, cpuThreads: 1 });
      expect(workers.length).toBeGreaterThan(2);
      expect(await rig.lone("succeed").outcome).toEqual(OK);
      expect(await rig.lone("succeed", { computes: true }).outcome).toEqual(OK);
      rig.expectIdle();
      expect(rig.replacements).toHaveLength(2);
    } finally {
      process.off("worker", onWorker);
    }
  });

  test("starting threads are not offered to killThread", async () => {
    await using rig = await Rig.start({
      threads: 1,
      cpuThreads: 1,
      startFaults: [undefined, undefined, "wait_at_gate", "wait_at_gate"],
    });
    expect([rig.runtime.killThread(), rig.runtime.killThread()]).not.toContain(undefined);
    await eventually("both replacements to load", () => rig.cells.read(rig.starts) === 4);
    expect(rig.runtime.killThread()).toBeUndefined();
    const waiting = rig.lone("succeed");
    rig.cells.add(rig.startGate);
    expect(await waiting.outcome).toEqual(OK);
    await rig.allThreadsUp();
    rig.expectIdle();
  });
});

test("closing with steps in flight settles every one of them", async () => {
  const rig = await Rig.start({ threads: 1, cpuThreads: 1 });
  const acts: Act[] = [rig.act("wait"), rig.act("spin")];
  const [waiting, spinning] = await Promise.all(acts.map((act) => rig.running(act, { computes: act.do === "spin" })));
  spinning?.scope.cancel("shutdown");
  const queued = rig.lone("succeed", { computes: true });
  expect(rig.runtime.counters()).toMatchObject({ unsettled: 2, exclusiveWaiting: 1 });
  queued.scope.cancel("shutdown");
  await rig.runtime.close();
  expect(await waiting?.outcome).toEqual(lost("exit"));
  expect(await spinning?.outcome).toEqual({ status: "canceled", cause: "shutdown", effect: "unknown" });
  expect(await queued.outcome).toEqual({ status: "canceled", cause: "shutdown", effect: "none" });
  rig.expectIdle();
  expect(rig.runtime.threads()).toEqual([]);
});
