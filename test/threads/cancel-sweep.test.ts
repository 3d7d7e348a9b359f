import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { randomFrom } from "../../load/stand-in/random.ts";
import { CANCEL_CAUSES, type CancelCause } from "../../src/orders/cancel-cause.ts";
import { CancelScope, Capacity } from "../../src/threads/index.ts";
import type { OrderOutcome } from "../../src/orders/outcome.ts";
import { Pipeline } from "../../src/orders/pipeline.ts";
import type { StepOutcome } from "../../src/orders/step.ts";
import { perStep, type StepName } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { seedOf } from "../support/seed.ts";
import { Fixture, type LoneStep } from "./fixture.ts";
import type { Plan, Script } from "./script.ts";

const SEED = seedOf("SWEEP_SEED");

let fixture: Fixture;
/** Never answers; knows which of its requests are still open. */
let server: Server;
let requests = 0;
let openRequests = 0;

beforeAll(async () => {
  server = createServer((_request, response) => {
    requests++;
    openRequests++;
    response.once("close", () => openRequests--);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // One thread of each kind, so that a busy one is the one that a step has to wait for.
  fixture = await Fixture.start({ threads: 1, cpuThreads: 1, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` });
});

afterAll(async () => {
  await fixture.runtime.close();
  server.closeAllConnections();
  server.close();
});

afterEach(() => {
  fixture.expectIdle();
  expect(fixture.replacements).toEqual([]);
  expect(fixture.faults).toEqual([]);
});

const never = (cause: CancelCause): StepOutcome => ({ status: "canceled", cause, effect: "none" });
const stopped = (cause: CancelCause, effect: "none" | "unknown" = "none"): StepOutcome => ({ status: "canceled", cause, effect });
const OK: StepOutcome = { status: "ok" };

/** What the threads have counted must say the same as the steps' own counts. */
async function expectStarts(count: number, body: () => Promise<void>): Promise<void> {
  const before = fixture.runtime.totals().started;
  await body();
  expect(fixture.runtime.totals().started - before).toBe(count);
}

describe.each(CANCEL_CAUSES)("one step canceled by %s", (cause) => {
  test("before its run is opened", () =>
    expectStarts(0, async () => {
      const scope = new CancelScope();
      scope.cancel(cause);
      const step = fixture.lone("succeed", { scope });
      expect(await step.outcome).toEqual(never(cause));
      expect(fixture.runsOf(step)).toBe(0);
    }));

  test("before it is dispatched", () =>
    expectStarts(0, async () => {
      const scope = new CancelScope();
      const run = fixture.runtime.open(scope);
      expect(fixture.runtime.counters().slots).toBe(1);
      scope.cancel(cause);
      for (const computes of [false, true]) {
        const step = fixture.step(run, fixture.script("succeed"), { computes });
        expect(await step.outcome).toEqual(never(cause));
        expect(fixture.runsOf(step)).toBe(0);
      }
      run.close();
    }));

  describe.each([
    ["shared", false],
    ["exclusive", true],
  ])("on the %s pool", (_pool, computes) => {
    test("while it waits to be sent", () =>
      expectStarts(0, async () => {
        const step = fixture.lone("succeed", { computes });
        expect(fixture.runtime.counters()).toMatchObject({ slots: 1, unsettled: 1, exclusivePermits: computes ? 1 : 0 });
        step.scope.cancel(cause);
        expect(await step.outcome).toEqual(never(cause));
        expect(fixture.runsOf(step)).toBe(0);
      }));

    test("while it waits to be sent, in the last moment before that", () =>
      expectStarts(0, async () => {
        const scope = new CancelScope();
        // Queued before the flush, so it runs in the same phase of the event loop, just ahead of it.
        setImmediate(() => scope.cancel(cause));
        const step = fixture.lone("succeed", { computes, scope });
        expect(await step.outcome).toEqual(never(cause));
        expect(fixture.runsOf(step)).toBe(0);
      }));

    test("computing with checkpoints", () =>
      expectStarts(1, async () => {
        const step = await fixture.running("compute", { computes });
        expect(fixture.runtime.totals().running).toBe(1);
        step.scope.cancel(cause);
        expect(await step.outcome).toEqual(stopped(cause));
        expect(fixture.runsOf(step)).toBe(1);
      }));

    test("sleeping", () =>
      expectStarts(1, async () => {
        const step = await fixture.running("sleep", { computes });
        expect(fixture.runtime.totals().running).toBe(1);
        step.scope.cancel(cause);
        expect(await step.outcome).toEqual(stopped(cause));
        expect(fixture.counters.read(step.script.ends)).toBe(1);
      }));

    test("waiting on its signal, with its call under way", () =>
      expectStarts(1, async () => {
        const step = await fixture.running(fixture.script("wait", { calls: true }), { computes });
        step.scope.cancel(cause);
        expect(await step.outcome).toEqual(stopped(cause, "unknown"));
      }));

    test("in fetch: the server sees the socket close", () =>
      expectStarts(1, async () => {
        const before = requests;
        const step = fixture.lone(fixture.script("fetch", { calls: true }), { computes });
        await eventually("the request to arrive", () => requests === before + 1);
        expect(openRequests).toBe(1);
        step.scope.cancel(cause);
        expect(await step.outcome).toEqual(stopped(cause, "unknown"));
        await eventually("the socket to close", () => openRequests === 0);
      }));

    test("at return: it does not look any more and ends ok", () =>
      expectStarts(1, async () => {
        const step = await fixture.running("wait_ignoring_cancel", { computes });
        step.scope.cancel(cause);
        expect(fixture.runtime.counters()).toMatchObject({ slots: 1, unsettled: 1, watchedGroups: 1 });
        fixture.open(step);
        expect(await step.outcome).toEqual(OK);
      }));

    test("after return, its outcome still on the way", () =>
      expectStarts(1, async () => {
        const step = await fixture.running("wait", { computes });
        fixture.open(step);
        // Blocks this thread, so it cannot learn of the end before it cancels.
        fixture.counters.block(step.script.ends);
        step.scope.cancel(cause);
        expect(await step.outcome).toEqual(OK);
      }));

    test("after return, its run still open", () =>
      expectStarts(1, async () => {
        const scope = new CancelScope();
        const run = fixture.runtime.open(scope);
        const step = fixture.step(run, fixture.script("succeed"), { computes });
        expect(await step.outcome).toEqual(OK);
        scope.cancel(cause);
        expect(await step.outcome).toEqual(OK);
        expect(fixture.runtime.counters()).toMatchObject({ slots: 1, unsettled: 0, watchedGroups: 0 });
        run.close();
      }));

    test("after its run was closed: the next run on the same slot does not hear of it", () =>
      expectStarts(2, async () => {
        const first = fixture.lone("succeed", { computes });
        expect(await first.outcome).toEqual(OK);
        const second = await fixture.running("wait", { computes });
        first.scope.cancel(cause);
        const third = fixture.lone("succeed", { computes, scope: first.scope });
        expect(await third.outcome).toEqual(never(cause));
        fixture.open(second);
        expect(await second.outcome).toEqual(OK);
      }));
  });

  // On the shared pool only: an exclusive thread is given one step at a time, so none of its steps is kept from starting.
  test("dispatched and not started, its thread being busy", () =>
    expectStarts(1, async () => {
      const holder = await fixture.running("hold_thread");
      const step = fixture.lone("succeed");
      // Steps are sent in the check phase; two turns later the message has been posted for sure.
      await turn();
      await turn();
      step.scope.cancel(cause);
      await turn();
      expect(fixture.runtime.counters()).toMatchObject({ slots: 2, unsettled: 2, watchedGroups: 1 });
      fixture.open(holder);
      expect(await step.outcome).toEqual(never(cause));
      expect(await holder.outcome).toEqual(OK);
      expect(fixture.runsOf(step)).toBe(0);
    }));

  test("waiting for an exclusive thread", () =>
    expectStarts(2, async () => {
      const holder = await fixture.running("compute", { computes: true });
      const step = fixture.lone("succeed", { computes: true });
      const later = fixture.lone("succeed", { computes: true });
      expect(fixture.runtime.counters()).toMatchObject({ slots: 3, exclusivePermits: 1, exclusiveWaiting: 2 });
      step.scope.cancel(cause);
      expect(await step.outcome).toEqual(never(cause));
      expect(fixture.runtime.counters()).toMatchObject({ slots: 2, exclusivePermits: 1, exclusiveWaiting: 1 });
      fixture.open(holder);
      expect(await holder.outcome).toEqual(OK);
      expect(await later.outcome).toEqual(OK);
      expect(fixture.runsOf(step)).toBe(0);
    }));

  test.each([0, 1, 2, 3, 4, 5, 6, 7, 8])("granted an exclusive thread %i microtasks before", (microtasks) =>
    expectStarts(2, async () => {
      const holder = await fixture.running("compute", { computes: true });
      const step = fixture.lone("succeed", { computes: true });
      const later = fixture.lone("succeed", { computes: true });
      fixture.open(holder);
      void holder.ended.then(async () => {
        for (let n = 0; n < microtasks; n++) await undefined;
        step.scope.cancel(cause);
      });
      // Whether it was granted or not, it has not gone out yet, so it never runs and the permit goes on.
      expect(await step.outcome).toEqual(never(cause));
      expect(await later.outcome).toEqual(OK);
      expect(fixture.runsOf(step)).toBe(0);
    }),
  );

  test(`at any moment around its end (seed ${SEED})`, async () => {
    const random = randomFrom(SEED);
    const seen = new Set<string>();
    const rounds = 150;
    const maxRounds = 100 * rounds;
    let started = 0;
    const before = fixture.runtime.totals().started;
    for (let n = 0; n < rounds || (seen.size < 2 && n < maxRounds); n++) {
      const computes = random() < 0.5;
      const step = fixture.lone(fixture.script("compute_ms", { ms: random() * 0.4 }), { computes });
      if (random() < 0.7) await fixture.counters.reached(step.script.runs);
      const end = performance.now() + random() * 0.4;
      while (performance.now() < end);
      step.scope.cancel(cause);
      const outcome = await step.outcome;
      // Ran to its end, was stopped, or was found in time: nothing else, and never half of each.
      if (outcome.status !== "ok") expect(outcome).toEqual(never(cause));
      seen.add(outcome.status);
      started += fixture.runsOf(step);
      expect(fixture.counters.read(step.script.ends)).toBe(fixture.runsOf(step));
      if (outcome.status === "ok") expect(fixture.runsOf(step)).toBe(1);
      fixture.expectIdle();
    }
    expect(fixture.runtime.totals().started - before).toBe(started);
    expect([...seen].sort()).toEqual(["canceled", "ok"]);
  });
});

/** Each cause brought about by what brings it about in the service. */
const SOURCES: Readonly<Record<CancelCause, (order: Order) => void>> = {
  sibling_failed: ({ failing }) => fixture.open({ script: failing }),
  deadline: ({ scope }) => void scope.cancelAfter(1),
  client_disconnected: ({ client }) => void client.cancel("client_disconnected"),
  shutdown: ({ scope }) => void scope.cancel("shutdown"),
};

const KIND = { sibling_failed: "payment_declined", deadline: "timeout", client_disconnected: "canceled", shutdown: "canceled" } as const;

interface Order {
  readonly failing: Script;
  readonly ending: readonly Script[];
  readonly scope: CancelScope;
  readonly client: CancelScope;
  readonly outcome: Promise<OrderOutcome>;
}

const capacities: Record<StepName, Capacity> = { ...perStep(() => new Capacity(10)), courier: new Capacity(1) };

/** An order whose payment fails when its gate opens, whose courier does as the test says, and whose other steps end. */
function place(courier: Script, computes: boolean): Order {
  const failing = fixture.script("wait_then_fail");
  const { payment: _payment, courier: _courier, ...others } = perStep(() => fixture.script("succeed"));
  const ending = Object.values(others);
  const plan: Plan = { ...others, payment: failing, courier };
  const scope = new CancelScope();
  const client = new CancelScope();
  const linked = scope.link(client);
  const input = { orderId: JSON.stringify(plan), amount: 1, attempt: 1, simulation: { cpuMs: { courier: computes ? 1 : 0 } } };
  const outcome = new Pipeline(fixture.runtime, capacities).run(input, scope).finally(() => linked.unsubscribe());
  return { failing, ending, scope, client, outcome };
}

interface Position {
  readonly script: () => Script;
  readonly computes?: boolean;
  readonly runs: 0 | 1;
  readonly effect?: "unknown";
  /** Fills what the courier has to wait for; gives back how to free it. */
  readonly before?: () => Promise<() => Promise<void>>;
  readonly reached: (courier: Script) => Promise<unknown>;
}

const running = (script: Script) => fixture.counters.reached(script.runs);

const POSITIONS: Readonly<Record<string, Position>> = {
  "waiting for courier capacity": {
    script: () => fixture.script("succeed"),
    runs: 0,
    async before() {
      const permit = await capacities.courier.acquire();
      return async () => permit.release();
    },
    reached: () => eventually("the courier to wait", () => capacities.courier.waiting === 1),
  },
  "waiting for an exclusive thread": {
    script: () => fixture.script("succeed"),
    computes: true,
    runs: 0,
    async before() {
      const holder: LoneStep = await fixture.running("compute", { computes: true });
      return async () => {
        fixture.open(holder);
        await holder.ended;
      };
    },
    reached: () => eventually("the courier to wait", () => fixture.runtime.counters().exclusiveWaiting === 1),
  },
  sleeping: { script: () => fixture.script("sleep"), runs: 1, reached: running },
  "in fetch": {
    script: () => fixture.script("fetch", { calls: true }),
    runs: 1,
    effect: "unknown",
    reached: () => eventually("the request to arrive", () => openRequests === 1),
  },
  computing: { script: () => fixture.script("compute"), computes: true, runs: 1, reached: running },
};

describe.each(CANCEL_CAUSES)("an order canceled by %s while its courier is", (cause) => {
  test.each(Object.keys(POSITIONS))("%s", async (name) => {
    const { script, computes = false, runs, effect = "none", before, reached } = POSITIONS[name] as Position;
    const free = await before?.();
    const courier = script();
    const order = place(courier, computes);
    await Promise.all([reached(courier), fixture.counters.reached(order.failing.runs)]);
    for (const { ends } of order.ending) await fixture.counters.reached(ends);
    expect(fixture.runtime.totals().running).toBeGreaterThan(0);
    expect(capacities.payment.inUse).toBe(1);

    SOURCES[cause](order);
    const { steps, error } = await order.outcome;

    expect(error).toBe(KIND[cause]);
    const declined = { status: "failed", kind: "payment_declined", effect: "none" };
    expect(Object.fromEntries(steps.map(({ name, outcome }) => [name, outcome]))).toEqual({
      ...perStep(() => OK),
      payment: cause === "sibling_failed" ? declined : stopped(cause),
      courier: stopped(cause, effect),
    });
    expect(fixture.counters.read(courier.runs)).toBe(runs);
    await free?.();
    // At once: nothing of the order is left when its outcome is there.
    for (const capacity of Object.values(capacities)) expect([capacity.inUse, capacity.waiting]).toEqual([0, 0]);
    expect(order.scope.listenerCount).toBe(0);
    await eventually("the sockets to close", () => openRequests === 0);
  });
});
