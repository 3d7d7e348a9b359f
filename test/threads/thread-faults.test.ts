import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setImmediate as turn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { CancelScope, Capacity } from "../../src/threads/index.ts";
import { Pipeline } from "../../src/orders/pipeline.ts";
import type { StepOutcome } from "../../src/orders/step.ts";
import { perStep, STEPS } from "../../src/orders/steps.ts";
import type { ReplaceReason } from "../../src/threads/pool-thread.ts";
import { eventually } from "../support/eventually.ts";
import { Fixture, inputFor, type LoneStep } from "./fixture.ts";
import type { Script, ScriptName } from "./script.ts";

const OK: StepOutcome = { status: "ok" };
const lost = (reason: ReplaceReason): StepOutcome => ({ status: "lost", reason: `thread ended: ${reason}`, effect: "unknown" });
const canceled = (effect: "none" | "unknown" = "unknown"): StepOutcome => ({ status: "canceled", cause: "client_disconnected", effect });

/** Faults by which a thread ends itself, as what it is counted, and what is reported of it. */
const DEATHS: readonly (readonly [ScriptName, ReplaceReason, RegExp | undefined])[] = [
  ["exit", "exit", undefined],
  ["throw_later", "uncaught", /^a thread crashed: Error: nobody catches this$/],
  ["throw_in_microtask", "uncaught", /^a thread crashed: Error: nobody catches this$/],
  ["throw_null_later", "uncaught", /^a thread crashed: null$/],
  ["reject_unhandled", "uncaught", /^a thread crashed: Error: nobody handles this$/],
  ["out_of_memory", "out_of_memory", /^a thread crashed: Error .*JS heap out of memory$/],
];

/** What is true after any fault that cost one thread. */
async function expectRecovered(fixture: Fixture, reason: ReplaceReason, computes = false, fault?: RegExp): Promise<void> {
  fixture.expectIdle();
  expect(fixture.faults).toEqual(fault === undefined ? [] : [expect.stringMatching(fault)]);
  // The next step works, though its thread may still be starting.
  const next = fixture.lone("succeed", { computes });
  expect(await next.outcome).toEqual(OK);
  expect(fixture.runsOf(next)).toBe(1);
  expect(fixture.reasons()).toEqual([reason]);
  expect(Object.fromEntries(fixture.runtime.replaced())).toEqual({ [reason]: 1 });
  await fixture.allThreadsUp();
  fixture.expectIdle();
}

/** A step on each of two threads of the shared pool: the pool spreads them, and the test makes sure of it. */
async function onTwoThreads(fixture: Fixture): Promise<readonly [LoneStep, LoneStep]> {
  const first = await fixture.running("wait");
  const second = await fixture.running("wait");
  const shared = fixture.runtime.threads().filter(({ pool }) => pool === "shared");
  expect(shared.map(({ running }) => running)).toEqual([1, 1]);
  return [first, second];
}

describe.each([
  ["shared", false],
  ["exclusive", true],
])("a thread of the %s pool that ends by itself", (pool, computes) => {
  test.each(DEATHS)("%s", async (script, reason, fault) => {
    await using fixture = await Fixture.start({ threads: 2, cpuThreads: 2, heapLimitMb: 32 });
    const elsewhere = await fixture.running("wait", { computes });
    const before = fixture.runtime.totals();

    const victim = await fixture.running(fixture.script(script, { calls: true }), { computes });
    expect(await victim.outcome).toEqual(lost(reason));

    // The other thread's step runs on, and is all that the counters hold.
    expect(fixture.runtime.totals()).toEqual({ running: 1, started: before.started + 1, finished: before.finished + 1 });
    expect(fixture.runtime.counters()).toMatchObject({ slots: 1, unsettled: 1, exclusivePermits: computes ? 1 : 0 });
    expect(fixture.replacements).toMatchObject([{ pool, reason }]);
    fixture.open(elsewhere);
    expect(await elsewhere.outcome).toEqual(OK);
    await expectRecovered(fixture, reason, computes, fault);
  });
});

test("a thread that dies takes the other steps on it along, each with the outcome that is its own", async () => {
  await using fixture = await Fixture.start({ threads: 1 });
  const innocent = await fixture.running("wait");
  // It ignores its cancel, so that it is still there when the thread dies.
  const ignoring = await fixture.running("wait_ignoring_cancel");
  const endedBefore = await fixture.running("wait");
  fixture.open(endedBefore);
  expect(await endedBefore.outcome).toEqual(OK);
  ignoring.scope.cancel("client_disconnected");
  const victim = await fixture.running("exit");
  expect(await Promise.all([innocent, ignoring, victim].map(({ outcome }) => outcome))).toEqual([lost("exit"), canceled(), lost("exit")]);
  await expectRecovered(fixture, "exit");
});

test("a step that is no async function ends when it returns, and the steps that came with it notice nothing", async () => {
  await using fixture = await Fixture.start({ threads: 1, cpuThreads: 1 });
  const capacities = perStep(() => new Capacity(1));
  const scripts = { ...perStep(() => fixture.script("succeed")), vendor: fixture.script("return_nothing") };
  const { steps } = await new Pipeline(fixture.runtime, capacities).run(inputFor(scripts), new CancelScope());
  expect(steps.map(({ outcome }) => outcome)).toEqual(STEPS.map(() => OK));
  expect(fixture.replacements).toEqual([]);
});

test("the order on a lost thread ends as internal with its capacity given back; the one beside it is placed", async () => {
  await using fixture = await Fixture.start({ threads: 1, cpuThreads: 1 });
  const capacities = perStep(() => new Capacity(2));
  const pipeline = new Pipeline(fixture.runtime, capacities);
  /** The steps that hold capacity. */
  const inUse = () => STEPS.filter((step) => capacities[step].inUse > 0);
  const fine = { ...perStep(() => fixture.script("succeed")), vendor: fixture.script("wait") };
  const doomed = { ...perStep(() => fixture.script("succeed")), payment: fixture.script("wait_then_exit") };
  const [fineScope, doomedScope] = [new CancelScope(), new CancelScope()];

  const good = pipeline.run(inputFor(fine), fineScope);
  // Computes, so it is on the thread of the other pool.
  const bad = pipeline.run({ ...inputFor(doomed), simulation: { cpuMs: { payment: 1 } } }, doomedScope);
  await Promise.all([fixture.counters.reached(doomed.payment.runs), fixture.counters.reached(fine.vendor.runs)]);
  await eventually("two steps to be left", () => inUse().join() === "payment,vendor");
  fixture.open({ script: doomed.payment });
  const { steps, error } = await bad;

  expect(error).toBe("internal");
  expect(steps.map(({ outcome }) => outcome)).toEqual(STEPS.map((step) => (step === "payment" ? lost("exit") : OK)));
  expect(inUse()).toEqual(["vendor"]);
  fixture.open({ script: fine.vendor });
  expect(await good).not.toHaveProperty("error");
  expect(inUse()).toEqual([]);
  expect([fineScope.listenerCount, doomedScope.listenerCount]).toEqual([0, 0]);
  await expectRecovered(fixture, "exit", true);
});

describe("killThread", () => {
  test("terminates the busiest thread; steps of other threads notice nothing", async () => {
    await using fixture = await Fixture.start({ threads: 2 });
    const [first, second] = await onTwoThreads(fixture);
    const third = await fixture.running("wait");
    // The tie is broken by order, so the first thread has two.
    const busiest = fixture.runtime.threads().find(({ running }) => running === 2);
    expect(fixture.runtime.killThread()).toBe(busiest?.id);
    expect(fixture.replacements).toEqual([]);

    expect(await Promise.all([first.outcome, third.outcome])).toEqual([lost("chaos"), lost("chaos")]);
    expect(fixture.replacements).toEqual([{ pool: "shared", threadId: busiest?.id, reason: "chaos" }]);
    expect(fixture.runtime.totals().running).toBe(1);
    fixture.open(second);
    expect(await second.outcome).toEqual(OK);
    await expectRecovered(fixture, "chaos");
  });

  test("a step that was canceled is canceled, though its thread did not let it stop", async () => {
    await using fixture = await Fixture.start({ threads: 1 });
    const step = await fixture.running("ignore_cancel");
    step.scope.cancel("client_disconnected");
    fixture.runtime.killThread();
    expect(await step.outcome).toEqual(canceled());
    await expectRecovered(fixture, "chaos");
  });

  test("steps that wait for the replacement run on it once; canceled meanwhile, they end at once and never run", async () => {
    await using fixture = await Fixture.start({ threads: 1, startFaults: [undefined, undefined, "wait_at_gate"] });
    const victim = await fixture.running("wait");
    fixture.runtime.killThread();
    const [kept, withdrawn] = [fixture.lone("succeed"), fixture.lone("succeed")];
    await victim.ended;
    await turn();
    expect(fixture.runtime.counters()).toMatchObject({ slots: 2, unsettled: 2 });
    // There is no thread yet that could say so.
    withdrawn.scope.cancel("client_disconnected");
    expect(await withdrawn.outcome).toEqual(canceled("none"));
    fixture.counters.add(fixture.startGate);
    expect(await kept.outcome).toEqual(OK);
    expect([fixture.runsOf(kept), fixture.runsOf(withdrawn)]).toEqual([1, 0]);
    await expectRecovered(fixture, "chaos");
  });

  test("an exclusive thread gets no second step while another one is being replaced", async () => {
    const startFaults = [undefined, undefined, undefined, "wait_at_gate"] as const;
    await using fixture = await Fixture.start({ threads: 1, cpuThreads: 2, startFaults });
    const [first, victim] = [
      await fixture.running("compute", { computes: true }),
      await fixture.running("wait_then_exit", { computes: true }),
    ];
    fixture.open(victim);
    expect(await victim.outcome).toEqual(lost("exit"));
    const second = fixture.lone("succeed", { computes: true });
    for (let n = 0; n < 3; n++) await turn();
    // It has its permit, but would have to share a thread that computes. Sent there, it could not end before the other.
    expect(fixture.runtime.counters()).toMatchObject({ exclusivePermits: 2, exclusiveWaiting: 0, unsettled: 2 });
    second.scope.cancel("client_disconnected");
    expect(await second.outcome).toEqual(canceled("none"));
    const third = fixture.lone("succeed", { computes: true });
    fixture.open(first);
    expect(await first.outcome).toEqual(OK);
    expect(await third.outcome).toEqual(OK);
    expect(fixture.runsOf(second)).toBe(0);
    fixture.counters.add(fixture.startGate);
    await expectRecovered(fixture, "exit", true);
  });

  test("every thread at once: all are replaced", async () => {
    await using fixture = await Fixture.start({ threads: 3, cpuThreads: 2 });
    const before = fixture.runtime.threads().map(({ id }) => id);
    const steps = await Promise.all([1, 2, 3, 4, 5].map((n) => fixture.running("wait", { computes: n > 3 })));
    while (fixture.runtime.killThread() !== undefined);
    for (const step of steps) expect(await step.outcome).toEqual(lost("chaos"));
    fixture.expectIdle();
    await fixture.allThreadsUp();
    expect(fixture.runtime.threads().filter(({ id }) => before.includes(id))).toEqual([]);
    expect(Object.fromEntries(fixture.runtime.replaced())).toEqual({ chaos: 5 });
    const next = [1, 2, 3, 4, 5].map((n) => fixture.lone("succeed", { computes: n > 3 }));
    for (const step of next) expect(await step.outcome).toEqual(OK);
    fixture.expectIdle();
  });

  test("with no step anywhere it takes an idle thread", async () => {
    await using fixture = await Fixture.start({ threads: 1, cpuThreads: 1 });
    expect(fixture.runtime.killThread()).toBeTypeOf("number");
    await eventually("the replacement", () => fixture.replacements.length === 1);
    await expectRecovered(fixture, "chaos");
  });
});

describe("a canceled step that does not stop", () => {
  const GRACE_MS = 60;

  test.each([
    ["spin", false],
    ["spin", true],
    ["ignore_cancel", true],
  ] as const)("%s (exclusive: %s): its thread is replaced, the others stay", async (script, computes) => {
    await using fixture = await Fixture.start({ threads: 2, cpuThreads: 2, cancelGraceMs: GRACE_MS });
    const elsewhere = await fixture.running("wait", { computes });
    const stuck = await fixture.running(script, { computes });
    // Its thread has two steps now, one of them canceled; an exclusive one has only the stuck one.
    const beside = computes ? undefined : await besideOf(fixture, elsewhere, stuck);

    stuck.scope.cancel("client_disconnected");
    expect(fixture.runtime.counters().watchedGroups).toBe(1);
    expect(await stuck.outcome).toEqual(canceled());
    if (beside !== undefined) expect(await beside.outcome).toEqual(lost("grace"));

    expect(fixture.runtime.totals().running).toBe(1);
    fixture.open(elsewhere);
    expect(await elsewhere.outcome).toEqual(OK);
    await expectRecovered(fixture, "grace", computes);
  });

  test("ignore_cancel on a thread that is well: only its own order is over, and the thread goes when the other steps on it have", async () => {
    // Long enough for a heartbeat within it on any machine.
    await using fixture = await Fixture.start({ threads: 2, cpuThreads: 1, cancelGraceMs: 500 });
    const ids = () =>
      fixture.runtime
        .threads()
        .filter(({ pool }) => pool === "shared")
        .map(({ id, running }) => [id, running]);
    const elsewhere = await fixture.running("wait");
    const ignoring = [await fixture.running(fixture.script("ignore_cancel", { calls: true }))];
    const beside = await besideOf(fixture, elsewhere, ignoring[0] as LoneStep);
    await fixture.counters.reached(beside.script.runs);
    const before = ids();
    for (const { scope } of ignoring) scope.cancel("client_disconnected");
    expect(await ignoring[0]?.outcome).toEqual(canceled());
    // Another thread takes its place, and it is counted as replaced, but goes on with what it has.
    expect(fixture.replacements).toMatchObject([{ pool: "shared", reason: "grace" }]);
    await eventually("the replacement", () => ids().length === 3);
    expect(ids().slice(0, 2)).toEqual([before[0], [before[1]?.[0], 1]]);
    expect(fixture.runtime.totals().running).toBe(2);
    expect(fixture.runtime.counters()).toMatchObject({ slots: 2, unsettled: 2 });
    // It gets no step any more, though it has as few as others.
    const next = await Promise.all([fixture.running("wait"), fixture.running("wait"), fixture.running("wait")]);
    expect(ids()[1]).toEqual([before[1]?.[0], 1]);
    for (const step of [...next, elsewhere]) fixture.open(step);
    for (const step of [...next, elsewhere]) expect(await step.outcome).toEqual(OK);
    expect(fixture.runtime.totals().running).toBe(1);
    fixture.open(beside);
    expect(await beside.outcome).toEqual(OK);
    await expectRecovered(fixture, "grace");
    expect(ids().some(([id]) => id === before[1]?.[0])).toBe(false);
  });

  test("in quarantine: one that ends late is counted once, a second one that ignores its cancel ends with the thread, and so does what takes too long", async () => {
    await using fixture = await Fixture.start({ threads: 1, cpuThreads: 1, cancelGraceMs: 500, longestStepMs: 2_000 });
    const scope = new CancelScope();
    // Open until after the late end: the step is found by its group, but has settled.
    const group = fixture.runtime.open(scope);
    const late = fixture.step(group, fixture.script("wait_ignoring_cancel"));
    await fixture.counters.reached(late.script.runs);
    const [ignoring, endless] = [await fixture.running("ignore_cancel"), await fixture.running("wait")];
    scope.cancel("client_disconnected");
    expect(await late.outcome).toEqual(canceled());
    const { started } = fixture.runtime.totals();
    const counts = { running: 2, started, finished: started - 2 };
    expect(fixture.runtime.totals()).toEqual(counts);
    fixture.open(late);
    await fixture.counters.reached(late.script.ends);
    ignoring.scope.cancel("client_disconnected");
    expect(await ignoring.outcome).toEqual(canceled());
    expect(fixture.runtime.totals()).toEqual({ running: 1, started, finished: started - 1 });
    group.close();
    // Nobody cancels it, so only the bound ends it.
    expect(await endless.outcome).toEqual(lost("grace"));
    await expectRecovered(fixture, "grace");
  });

  test("more threads than may be in quarantine at one time: the next one is killed", async () => {
    await using fixture = await Fixture.start({ threads: 1, cpuThreads: 1, cancelGraceMs: 500 });
    const first = [await fixture.running("ignore_cancel"), await fixture.running("wait")] as const;
    first[0].scope.cancel("client_disconnected");
    expect(await first[0].outcome).toEqual(canceled());
    const second = [await fixture.running("ignore_cancel"), await fixture.running("wait")] as const;
    second[0].scope.cancel("client_disconnected");
    expect(await second[0].outcome).toEqual(canceled());
    expect(await second[1].outcome).toEqual(lost("grace"));
    fixture.open(first[1]);
    expect(await first[1].outcome).toEqual(OK);
    fixture.expectIdle();
    expect(fixture.reasons()).toEqual(["grace", "grace"]);
    await fixture.allThreadsUp();
  });

  /** A step on the thread of `stuck`. It may not be able to start there, so it does not wait for that. */
  async function besideOf(fixture: Fixture, elsewhere: LoneStep, stuck: LoneStep): Promise<LoneStep> {
    expect(fixture.runsOf(elsewhere) + fixture.runsOf(stuck)).toBe(2);
    // With one step on each thread the pool takes the first one, which `elsewhere` has; the next is the other's.
    const filler = await fixture.running("wait");
    const beside = fixture.lone("wait");
    // Sent at the end of this turn or the next; before that the filler must not end, or the threads would be even again.
    for (let turns = 0; turns < 2; turns++) await new Promise((resolve) => setImmediate(resolve));
    fixture.open(filler);
    await filler.ended;
    return beside;
  }

  test("in a native call: its thread is replaced when the call lets it", async () => {
    await using fixture = await Fixture.start({ threads: 1, cpuThreads: 1, cancelGraceMs: GRACE_MS });
    const elsewhere = await fixture.running("wait");
    const stuck = await fixture.running(fixture.script("native_call", { ms: 1500 }), { computes: true });
    stuck.scope.cancel("client_disconnected");
    // Whether it still ran when the grace was over is a matter of the machine's speed; it must have been so here.
    expect(await stuck.outcome).toEqual(canceled());
    expect(fixture.counters.read(stuck.script.ends)).toBe(0);
    fixture.open(elsewhere);
    expect(await elsewhere.outcome).toEqual(OK);
    await expectRecovered(fixture, "grace", true);
  });

  test("a step that stops within the grace costs nothing, however long it took before", async () => {
    await using fixture = await Fixture.start({ threads: 1, cancelGraceMs: GRACE_MS });
    for (let n = 0; n < 5; n++) {
      const step = await fixture.running("sleep");
      await new Promise((resolve) => setTimeout(resolve, GRACE_MS));
      step.scope.cancel("client_disconnected");
      expect(await step.outcome).toEqual(canceled("none"));
      fixture.expectIdle();
    }
    await new Promise((resolve) => setTimeout(resolve, 2 * GRACE_MS));
    expect(fixture.replacements).toEqual([]);
  });

  // Until just past the end of the grace, and well past it.
  test.each([GRACE_MS + 2, 1.5 * GRACE_MS])("a stall of the main thread of %i ms is not held against the threads", async (stallMs) => {
    await using fixture = await Fixture.start({ threads: 1, cancelGraceMs: GRACE_MS });
    const bystander = await fixture.running("wait");
    for (let n = 0; n < 5; n++) {
      const step = await fixture.running("sleep");
      // From here the timers come next; from where the step's start was heard of, what it says would.
      await turn();
      const end = performance.now() + stallMs;
      step.scope.cancel("client_disconnected");
      // It stops in time, but nobody is there to hear of it.
      fixture.counters.block(step.script.ends);
      while (performance.now() < end);
      expect(await step.outcome).toEqual(canceled("none"));
    }
    fixture.open(bystander);
    expect(await bystander.outcome).toEqual(OK);
    fixture.expectIdle();
    expect(fixture.replacements).toEqual([]);
  });

  test("a thread that computes within its bounds is overloaded, not stuck", async () => {
    await using fixture = await Fixture.start({ threads: 1, cancelGraceMs: GRACE_MS });
    const canceledStep = await fixture.running("sleep");
    // Holds the event loop for more than the grace, but says with every checkpoint that it is alive.
    const busy = await fixture.running(fixture.script("compute_ms", { ms: 4 * GRACE_MS }));
    canceledStep.scope.cancel("client_disconnected");
    expect(await busy.outcome).toEqual(OK);
    expect(await canceledStep.outcome).toEqual(canceled("none"));
    fixture.expectIdle();
    expect(fixture.replacements).toEqual([]);
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
    await using fixture = await Fixture.start({ threads: 2, cpuThreads: 2 });
    const elsewhere = await fixture.running("wait");
    // Long past the limit, computing and beating: alive.
    const computing = await fixture.running("compute", { computes: true });
    const stuck = [await fixture.running("spin"), await fixture.running("spin", { computes: true })];
    expect(fixture.runtime.totals().running).toBe(4);
    for (const step of stuck) expect(await step.outcome).toEqual(lost("heartbeat"));
    expect(fixture.runtime.totals().running).toBe(2);
    for (const step of [elsewhere, computing]) {
      fixture.open(step);
      expect(await step.outcome).toEqual(OK);
    }
    fixture.expectIdle();
    expect(fixture.reasons()).toEqual(["heartbeat", "heartbeat"]);
    await fixture.allThreadsUp();
    expect(await fixture.lone("succeed").outcome).toEqual(OK);
    expect(await fixture.lone("succeed", { computes: true }).outcome).toEqual(OK);
    fixture.expectIdle();
  });
});

describe("a step whose thread is lost under it", () => {
  test.each([
    ["runs again where it is retryable", true, OK, 2],
    ["is lost where it is not", false, lost("exit"), 1],
  ] as const)("%s", async (_what, retryable, outcome, runs) => {
    await using fixture = await Fixture.start({ threads: 1 });
    const step = fixture.lone("exit_once", { retryable });
    expect(await step.outcome).toEqual(outcome);
    expect(fixture.runsOf(step)).toBe(runs);
    await expectRecovered(fixture, "exit");
  });

  test.each([false, true])("retryable (exclusive: %s), but it kills every thread: is lost after two repeats", async (computes) => {
    await using fixture = await Fixture.start({ threads: 1, cpuThreads: 1 });
    const step = fixture.lone("exit", { retryable: true, computes });
    expect(await step.outcome).toEqual(lost("exit"));
    expect(fixture.runsOf(step)).toBe(3);
    fixture.expectIdle();
    expect(fixture.reasons()).toEqual(["exit", "exit", "exit"]);
    expect(await fixture.lone("succeed", { computes }).outcome).toEqual(OK);
    await fixture.allThreadsUp();
  });

  test("retryable and canceled before its repeat: not run again, and what the first run did is unknown", async () => {
    await using fixture = await Fixture.start({ threads: 1 });
    const step = await fixture.running(fixture.script("wait", { calls: true }), { retryable: true });
    fixture.runtime.killThread();
    await eventually("the thread to be gone", () => fixture.replacements.length === 1);
    expect(fixture.runtime.counters()).toMatchObject({ slots: 1, unsettled: 1 });
    step.scope.cancel("client_disconnected");
    expect(await step.outcome).toEqual(canceled());
    expect(fixture.runsOf(step)).toBe(1);
    await expectRecovered(fixture, "chaos");
  });

  test("retryable and canceled while it ran: canceled, not repeated", async () => {
    await using fixture = await Fixture.start({ threads: 1 });
    const step = await fixture.running("ignore_cancel", { retryable: true });
    step.scope.cancel("client_disconnected");
    fixture.runtime.killThread();
    expect(await step.outcome).toEqual(canceled());
    expect(fixture.runsOf(step)).toBe(1);
    await expectRecovered(fixture, "chaos");
  });
});

describe("what a step throws", () => {
  test.each(["throw_in_step", "throw_odd_value"] as const)("%s: fails it as internal and leaves its thread alone", async (script) => {
    await using fixture = await Fixture.start({ threads: 1 });
    const beside = await fixture.running("wait");
    for (const calls of [false, true]) {
      const outcome = await fixture.lone(fixture.script(script, { calls })).outcome;
      expect(outcome).toEqual({ status: "failed", kind: "internal", effect: calls ? "unknown" : "none" });
    }
    fixture.open(beside);
    expect(await beside.outcome).toEqual(OK);
    fixture.expectIdle();
    expect(fixture.replacements).toEqual([]);
  });
});

describe("a thread that dies while it starts", () => {
  test.each(["exit", "throw", "exit_after_ready"] as const)("by %s, at the first start: the runtime still comes up", async (fault) => {
    await using fixture = await Fixture.start({ threads: 2, startFaults: [fault, undefined, fault] });
    // A thread that dies after it said that it is ready may be counted as up for a moment.
    await eventually("both deaths to be known", () => fixture.replacements.length === 2);
    await fixture.allThreadsUp();
    for (let n = 0; n < 4; n++) expect(await fixture.lone("succeed", { computes: n % 2 === 0 }).outcome).toEqual(OK);
    fixture.expectIdle();
  });

  test.each(["exit", "throw", "exit_after_ready"] as const)("by %s, as a replacement: is replaced in turn", async (fault) => {
    await using fixture = await Fixture.start({ threads: 1, cpuThreads: 1, startFaults: [undefined, undefined, fault, fault] });
    const victim = await fixture.running("wait");
    fixture.runtime.killThread();
    expect(await victim.outcome).toEqual(lost("chaos"));
    // Waits through all the failed starts.
    const next = fixture.lone("succeed");
    expect(await next.outcome).toEqual(OK);
    expect(fixture.runsOf(next)).toBe(1);
    fixture.expectIdle();
    const deaths = fault === "throw" ? "uncaught" : "exit";
    expect(fixture.reasons()).toEqual(["chaos", deaths, deaths]);
    await fixture.allThreadsUp();

    // And replacing goes on working after that: Piscina by itself would have given up.
    for (let n = 0; n < 2; n++) {
      const again = await fixture.running("exit");
      expect(await again.outcome).toEqual(lost("exit"));
      expect(await fixture.lone("succeed").outcome).toEqual(OK);
    }
    fixture.expectIdle();
  });

  test("after it claimed its row and before it said so: the row is free again", async () => {
    // There are three times as many rows as threads; were these not given back, they would leave one for two threads. And no pool has
    // so many of them in a row that its start fails.
    const startFaults = Array.from({ length: 5 }, () => "exit_before_ready" as const);
    await using fixture = await Fixture.start({ threads: 1, cpuThreads: 1, startFaults });
    expect(fixture.reasons()).toEqual(startFaults.map(() => "exit"));
    expect(await fixture.lone("succeed").outcome).toEqual(OK);
    expect(await fixture.lone("succeed", { computes: true }).outcome).toEqual(OK);
    fixture.expectIdle();
  });

  test("terminated from outside while it loads: is replaced, and nobody else", async () => {
    const workers: Worker[] = [];
    const onWorker = (worker: Worker) => workers.push(worker);
    process.on("worker", onWorker);
    try {
      await using fixture = await Fixture.start({ threads: 1, cpuThreads: 1, startFaults: [undefined, undefined, "wait_at_gate"] });
      expect(workers).toHaveLength(2);
      const elsewhere = await fixture.running("wait", { computes: true });
      const victim = fixture.lone("exit");
      expect(await victim.outcome).toEqual(lost("exit"));
      await eventually("the replacement to load", () => fixture.counters.read(fixture.starts) === 3);
      expect(workers).toHaveLength(3);
      const waiting = fixture.lone("succeed");
      await workers[2]?.terminate();
      expect(await waiting.outcome).toEqual(OK);
      fixture.open(elsewhere);
      expect(await elsewhere.outcome).toEqual(OK);
      fixture.expectIdle();
      expect(fixture.reasons()).toEqual(["exit", "exit"]);
      await fixture.allThreadsUp();
      expect(workers).toHaveLength(4);
    } finally {
      process.off("worker", onWorker);
    }
  });

  test("that hangs while it loads, as a replacement: is replaced in turn, and what waits for a thread runs then", async () => {
    await using fixture = await Fixture.start({
      threads: 1,
      cpuThreads: 1,
      startTimeoutMs: 3_000,
      startFaults: [undefined, undefined, "wait_at_gate"],
    });
    const victim = await fixture.running("wait");
    fixture.runtime.killThread();
    expect(await victim.outcome).toEqual(lost("chaos"));
    expect(await fixture.lone("succeed").outcome).toEqual(OK);
    fixture.expectIdle();
    // On a slow machine it may have been too little time for a thread that does not hang, too.
    expect(new Set(fixture.reasons())).toEqual(new Set(["chaos", "heartbeat"]));
    await fixture.allThreadsUp();
  });

  test("that hangs while it loads, at the first start: the runtime comes up with another; if all hang, the start fails", async () => {
    await using fixture = await Fixture.start({ threads: 1, cpuThreads: 1, startTimeoutMs: 3_000, startFaults: ["wait_at_gate"] });
    expect(new Set(fixture.reasons())).toEqual(new Set(["heartbeat"]));
    expect(await fixture.lone("succeed").outcome).toEqual(OK);
    expect(await fixture.lone("succeed", { computes: true }).outcome).toEqual(OK);
    const hang = Fixture.start({
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
      await using fixture = await Fixture.start({ threads: 1, cpuThreads: 1 });
      expect(workers.length).toBeGreaterThan(2);
      expect(await fixture.lone("succeed").outcome).toEqual(OK);
      expect(await fixture.lone("succeed", { computes: true }).outcome).toEqual(OK);
      fixture.expectIdle();
      expect(fixture.replacements).toHaveLength(2);
    } finally {
      process.off("worker", onWorker);
    }
  });

  test("starting threads are not offered to killThread", async () => {
    await using fixture = await Fixture.start({
      threads: 1,
      cpuThreads: 1,
      startFaults: [undefined, undefined, "wait_at_gate", "wait_at_gate"],
    });
    expect([fixture.runtime.killThread(), fixture.runtime.killThread()]).not.toContain(undefined);
    await eventually("both replacements to load", () => fixture.counters.read(fixture.starts) === 4);
    expect(fixture.runtime.killThread()).toBeUndefined();
    const waiting = fixture.lone("succeed");
    fixture.counters.add(fixture.startGate);
    expect(await waiting.outcome).toEqual(OK);
    await fixture.allThreadsUp();
    fixture.expectIdle();
  });
});

test("closing with steps in flight settles every one of them", async () => {
  const fixture = await Fixture.start({ threads: 1, cpuThreads: 1 });
  const scripts: Script[] = [fixture.script("wait"), fixture.script("spin")];
  const [waiting, spinning] = await Promise.all(scripts.map((script) => fixture.running(script, { computes: script.do === "spin" })));
  spinning?.scope.cancel("shutdown");
  const queued = fixture.lone("succeed", { computes: true });
  expect(fixture.runtime.counters()).toMatchObject({ unsettled: 2, exclusiveWaiting: 1 });
  queued.scope.cancel("shutdown");
  await fixture.runtime.close();
  expect(await waiting?.outcome).toEqual(lost("exit"));
  expect(await spinning?.outcome).toEqual({ status: "canceled", cause: "shutdown", effect: "unknown" });
  expect(await queued.outcome).toEqual({ status: "canceled", cause: "shutdown", effect: "none" });
  fixture.expectIdle();
  expect(fixture.runtime.threads()).toEqual([]);
});
