import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { CancelCause } from "../../src/orders/cancel-cause.ts";
import { Pipeline } from "../../src/orders/pipeline.ts";
import { perStep, STEPS, type StepName } from "../../src/orders/steps.ts";
import { CancelScope, Capacity } from "../../src/threads/index.ts";
import { eventually } from "../support/eventually.ts";
import { Fixture, inputFor } from "../threads/fixture.ts";
import type { Script, ScriptName } from "../threads/script.ts";
import { type Capacities, type Counts, countAtRest, countersOf, countOf } from "./counts.ts";

let fixture: Fixture;
let capacities: Capacities;
let pipeline: Pipeline;
let rest: Counts;

beforeAll(async () => {
  fixture = await Fixture.start({ shared: 2, exclusive: 2, graceMs: 5_000 });
  // The first order makes what stays for good: compiled code, buffers, the threads' own modules.
  await Promise.all([fixture.lone("succeed").ended, fixture.lone("succeed", { computes: true }).ended]);
});

afterAll(() => fixture.threads.close());

beforeEach(async () => {
  capacities = perStep(() => new Capacity(5));
  pipeline = new Pipeline(fixture.runner, capacities);
  rest = await countAtRest(fixture.threads, capacities);
});

/** An order whose steps do what is asked of them, with its deadline, its client and whatever listens to both. */
function place(scripts: Readonly<Record<StepName, ScriptName>>, timeoutMs = 60_000) {
  const plan = perStep((step) => fixture.script(scripts[step]));
  const scope = new CancelScope<CancelCause>();
  const client = new CancelScope<CancelCause>();
  const linked = scope.link(client);
  const stopTimer = scope.cancelAfter(timeoutMs);
  const computing = STEPS.filter((name) => scripts[name] === "compute").map((name) => [name, 1]);
  const input = { ...inputFor(plan), simulation: { cpuMs: Object.fromEntries(computing) } };
  const outcome = pipeline.run(input, scope).finally(() => {
    stopTimer();
    linked.unsubscribe();
  });
  return { plan, scope, client, outcome, listeners: () => [scope.listenerCount, client.listenerCount] };
}

const starts = (scripts: readonly Script[]) => Promise.all(scripts.map(({ runs }) => fixture.counters.reached(runs)));

interface Ending {
  readonly scripts: Readonly<Record<StepName, ScriptName>>;
  readonly error: string | undefined;
  readonly timeoutMs?: number;
  readonly end: (order: ReturnType<typeof place>) => void;
}

const SLEEP = perStep((): ScriptName => "sleep");
const WAIT = perStep((): ScriptName => "wait");
const openAll = ({ plan }: ReturnType<typeof place>) => STEPS.forEach((name) => void fixture.open({ script: plan[name] }));

const ENDINGS: Readonly<Record<string, Ending>> = {
  success: { scripts: WAIT, error: undefined, end: openAll },
  "success of computing steps": { scripts: { ...WAIT, payment: "compute", courier: "compute" }, error: undefined, end: openAll },
  "a failed payment": {
    scripts: { ...SLEEP, payment: "wait_then_fail", courier: "compute" },
    error: "payment_declined",
    end: ({ plan }) => fixture.open({ script: plan.payment }),
  },
  "the deadline": { scripts: { ...WAIT, courier: "sleep" }, error: "timeout", timeoutMs: 1500, end: () => {} },
  "the client's hang-up": {
    scripts: { ...WAIT, vendor: "compute" },
    error: "canceled",
    end: ({ client }) => void client.cancel("client_disconnected"),
  },
  "a shutdown": { scripts: WAIT, error: "canceled", end: ({ scope }) => void scope.cancel("shutdown") },
  "a cancel that comes too late": {
    scripts: perStep((): ScriptName => "wait_ignoring_cancel"),
    error: undefined,
    end: (order) => {
      order.scope.cancel("client_disconnected");
      expect(countOf(fixture.threads, capacities)).toMatchObject({ watchedGroups: 1, timers: rest.timers + 2 });
      openAll(order);
    },
  },
};

describe("an order leaves nothing behind", () => {
  test.each(Object.keys(ENDINGS))("after %s", async (name) => {
    const { scripts, error, end, timeoutMs } = ENDINGS[name] as Ending;
    const order = place(scripts, timeoutMs);
    // With a deadline, time must not decide whether the count is seen: its steps start long before it comes.
    await starts(Object.values(order.plan));
    const computing = Object.values(scripts).filter((script) => script === "compute").length;
    const { osThreads: _osThreads, ...during } = countOf(fixture.threads, capacities);
    expect(during).toEqual({
      threads: rest.threads,
      running: STEPS.length,
      unfinished: STEPS.length,
      groups: 1,
      unsettled: STEPS.length,
      exclusivePermits: computing,
      exclusiveWaiting: 0,
      watchedGroups: 0,
      permits: STEPS.length,
      waiting: 0,
      timers: rest.timers + 1,
    });
    expect(order.listeners()).toEqual([1, 1]);

    end(order);
    const outcome = await order.outcome;
    // At once, not after a while.
    expect(countOf(fixture.threads, capacities)).toEqual(rest);
    expect(order.listeners()).toEqual([0, 0]);
    expect(outcome.error).toBe(error);
    expect(fixture.replacements).toEqual([]);
  });

  test("after waiting for capacity and for an exclusive thread in vain", async () => {
    capacities = { ...capacities, courier: new Capacity(1) };
    pipeline = new Pipeline(fixture.runner, capacities);
    const scripts = { ...WAIT, payment: "compute", vendor: "compute" } as const;
    const first = place(scripts);
    await starts(Object.values(first.plan));
    const second = place(scripts);
    const third = place(scripts);
    expect(countOf(fixture.threads, capacities)).toMatchObject({
      exclusivePermits: 2,
      exclusiveWaiting: 4,
      permits: 3 * STEPS.length - 2,
      waiting: 2,
      groups: 3,
    });
    second.scope.cancel("deadline");
    third.client.cancel("client_disconnected");
    expect((await second.outcome).error).toBe("timeout");
    expect((await third.outcome).error).toBe("canceled");
    expect(countOf(fixture.threads, capacities)).toMatchObject({
      exclusivePermits: 2,
      exclusiveWaiting: 0,
      permits: STEPS.length,
      waiting: 0,
      groups: 1,
    });
    openAll(first);
    expect((await first.outcome).error).toBeUndefined();
    expect(countOf(fixture.threads, capacities)).toEqual(rest);
    for (const { plan } of [second, third]) for (const { runs } of Object.values(plan)) expect(fixture.counters.read(runs)).toBe(0);
    for (const { listeners } of [first, second, third]) expect(listeners()).toEqual([0, 0]);
  });
});

test("a lost thread leaves nothing behind either", async () => {
  await using own = await Fixture.start({ shared: 1, exclusive: 1 });
  const before = await countAtRest(own.threads, capacities);
  for (const round of [1, 2, 3]) {
    const plan = {
      ...perStep(() => own.script("wait")),
      payment: own.script("wait_then_exit"),
      vendor: own.script("wait_ignoring_cancel"),
    };
    const scope = new CancelScope<CancelCause>();
    const outcome = new Pipeline(own.runner, capacities).run(inputFor(plan), scope);
    await Promise.all(Object.values(plan).map(({ runs }) => own.counters.reached(runs)));
    expect(countOf(own.threads, capacities)).toMatchObject({
      running: STEPS.length,
      unfinished: STEPS.length,
      groups: 1,
      unsettled: STEPS.length,
      permits: STEPS.length,
    });
    own.open({ script: plan.payment });
    expect((await outcome).error).toBe("internal");
    expect(countersOf(countOf(own.threads, capacities))).toEqual(countersOf(before));
    expect(scope.listenerCount).toBe(0);
    // The replacement takes its time to start, and the system its time to forget the old one.
    await own.allThreadsUp();
    await eventually("the threads to be as many as before", () => countOf(own.threads, capacities).osThreads === before.osThreads);
    expect(countOf(own.threads, capacities)).toEqual(before);
    expect(own.replacements).toHaveLength(round);
  }
});

test("nothing is left on the thread of a canceled step: no timer, no step's context", async () => {
  await using own = await Fixture.start({ shared: 1, exclusive: 1 });
  const heapCheck = async () => {
    const counter = own.counters.take();
    const script = own.script("heap_check", { ms: counter });
    expect(await own.lone(script).outcome).toEqual({ status: "ok" });
    return { timers: own.counters.read(script.gate), contexts: own.counters.read(counter) };
  };
  expect(await heapCheck()).toEqual({ timers: 0, contexts: 0 });
  const scripts: ScriptName[] = ["sleep", "sleep", "wait", "wait_then_fail"];
  const steps = await Promise.all(scripts.map((script) => own.running(script)));
  expect(await heapCheck()).toEqual({ timers: 2, contexts: 4 });
  for (const step of steps) step.scope.cancel("deadline");
  for (const step of steps) expect(await step.outcome).toMatchObject({ status: "canceled" });
  await own.lone(own.script("sleep", { ms: 1 })).ended;
  await own.lone("throw_in_step").ended;
  expect(await heapCheck()).toEqual({ timers: 0, contexts: 0 });
});
