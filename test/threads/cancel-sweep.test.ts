import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { CANCEL_CAUSES, type CancelCause } from "../../src/orders/cancel-cause.ts";
import type { OrderOutcome } from "../../src/orders/outcome.ts";
import { Pipeline } from "../../src/orders/pipeline.ts";
import { perStep, type StepName } from "../../src/orders/steps.ts";
import { CancelScope, Capacity } from "../../src/threads/index.ts";
import { eventually } from "../support/eventually.ts";
import { canceledBy, Fixture, type LoneStep, OK } from "./fixture.ts";
import type { Plan, Script } from "./script.ts";

let fixture: Fixture;
/** Never answers; `requests` are those that are open. */
let server: Server;
let requests = 0;

beforeAll(async () => {
  server = createServer((_request, response) => {
    requests++;
    response.once("close", () => requests--);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // One thread of each kind, so that a busy one is the one that a step has to wait for.
  fixture = await Fixture.start({ shared: 1, exclusive: 1, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` });
});

afterAll(async () => {
  await fixture.threads.close();
  server.closeAllConnections();
  server.close();
});

afterEach(() => {
  fixture.expectIdle();
  expect([fixture.replacements, fixture.faults]).toEqual([[], []]);
});

const CANCELED = canceledBy("client_disconnected", "none");

/** What the threads have counted must say the same as the steps' own counts. */
async function expectStarts(count: number, body: () => Promise<void>): Promise<void> {
  const before = fixture.threads.statistics().started;
  await body();
  expect(fixture.threads.statistics().started - before).toBe(count);
}

describe.each([
  ["shared", false],
  ["exclusive", true],
])("a step on the %s pool is canceled", (_pool, computes) => {
  test("before it is dispatched", () =>
    expectStarts(0, async () => {
      const scope = new CancelScope();
      const run = fixture.runner.open(scope);
      scope.cancel("client_disconnected");
      expect(await fixture.step(run, fixture.script("succeed"), { computes }).outcome).toEqual(CANCELED);
      run.close();
    }));

  test("while it waits to be sent", () =>
    expectStarts(0, async () => {
      const step = fixture.lone("succeed", { computes });
      expect(fixture.threads.counters()).toMatchObject({ groups: 1, unsettled: 1, exclusivePermits: computes ? 1 : 0 });
      step.scope.cancel("client_disconnected");
      expect(await step.outcome).toEqual(CANCELED);
    }));

  test("while it waits to be sent, in the last moment before that", () =>
    expectStarts(0, async () => {
      const scope = new CancelScope();
      // The step before may have left a flush behind, which would come first.
      await turn();
      // Queued before the flush, so it runs in the same phase of the event loop, just ahead of it.
      setImmediate(() => scope.cancel("client_disconnected"));
      expect(await fixture.lone("succeed", { computes, scope }).outcome).toEqual(CANCELED);
    }));

  test("at return: it does not look any more and ends ok", () =>
    expectStarts(1, async () => {
      const step = await fixture.running("wait_ignoring_cancel", { computes });
      step.scope.cancel("client_disconnected");
      expect(fixture.threads.counters()).toMatchObject({ groups: 1, unsettled: 1, watchedGroups: 1 });
      fixture.open(step);
      expect(await step.outcome).toEqual(OK);
    }));

  test("after return, its outcome still on the way", () =>
    expectStarts(1, async () => {
      const step = await fixture.running("wait", { computes });
      fixture.open(step);
      // Blocks this thread, so it cannot learn of the end before it cancels.
      fixture.counters.block(step.script.ends);
      step.scope.cancel("client_disconnected");
      expect(await step.outcome).toEqual(OK);
    }));

  test("after its run was closed: the next run on the same slot does not hear of it", () =>
    expectStarts(2, async () => {
      const first = fixture.lone("succeed", { computes });
      expect(await first.outcome).toEqual(OK);
      const second = await fixture.running("wait", { computes });
      first.scope.cancel("client_disconnected");
      expect(await fixture.lone("succeed", { computes, scope: first.scope }).outcome).toEqual(CANCELED);
      fixture.open(second);
      expect(await second.outcome).toEqual(OK);
    }));
});

test.each([0, 1, 2, 3, 4, 5, 6, 7, 8])("a step is canceled that was granted an exclusive thread %i microtasks before", (microtasks) =>
  expectStarts(2, async () => {
    const holder = await fixture.running("compute", { computes: true });
    const [step, later] = [fixture.lone("succeed", { computes: true }), fixture.lone("succeed", { computes: true })];
    expect(fixture.threads.counters()).toMatchObject({ groups: 3, exclusivePermits: 1, exclusiveWaiting: 2 });
    fixture.open(holder);
    void holder.ended.then(async () => {
      for (let n = 0; n < microtasks; n++) await undefined;
      step.scope.cancel("client_disconnected");
    });
    // Whether it was granted or not, it has not gone out yet, so it never runs and the permit goes on.
    expect(await step.outcome).toEqual(CANCELED);
    expect(await later.outcome).toEqual(OK);
    expect(fixture.runsOf(step)).toBe(0);
  }),
);

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
  readonly scope: CancelScope<CancelCause>;
  readonly client: CancelScope<CancelCause>;
  readonly outcome: Promise<OrderOutcome>;
}

const capacities: Record<StepName, Capacity> = { ...perStep(() => new Capacity(10)), courier: new Capacity(1) };

/** An order whose payment fails when its gate opens, whose courier does as the test says, and whose other steps end. */
function place(courier: Script, computes: boolean): Order {
  const failing = fixture.script("wait_then_fail");
  const { payment: _payment, courier: _courier, ...others } = perStep(() => fixture.script("succeed"));
  const plan: Plan = { ...others, payment: failing, courier };
  const [scope, client] = [new CancelScope<CancelCause>(), new CancelScope<CancelCause>()];
  const linked = scope.link(client);
  const input = { orderId: JSON.stringify(plan), amount: 1, attempt: 1, simulation: { cpuMs: { courier: computes ? 1 : 0 } } };
  const outcome = new Pipeline(fixture.runner, capacities).run(input, scope).finally(() => linked.unsubscribe());
  return { failing, ending: Object.values(others), scope, client, outcome };
}

interface Position {
  readonly script: () => Script;
  readonly computes?: boolean;
  readonly runs: 0 | 1;
  readonly effect?: "none" | "unknown";
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
    reached: () => eventually("the courier to wait", () => fixture.threads.counters().exclusiveWaiting === 1),
  },
  sleeping: { script: () => fixture.script("sleep"), runs: 1, reached: running },
  "in fetch": {
    script: () => fixture.script("fetch", { calls: true }),
    runs: 1,
    effect: "unknown",
    reached: () => eventually("the request to arrive", () => requests === 1),
  },
  computing: { script: () => fixture.script("compute"), computes: true, runs: 1, reached: running },
};

describe.each(CANCEL_CAUSES)("an order canceled by %s while its courier is", (cause) => {
  test.each(Object.entries(POSITIONS))("%s", async (_name, { script, computes = false, runs, effect = "none", before, reached }) => {
    const free = await before?.();
    const courier = script();
    const order = place(courier, computes);
    await Promise.all([reached(courier), fixture.counters.reached(order.failing.runs)]);
    for (const { ends } of order.ending) await fixture.counters.reached(ends);
    expect(fixture.threads.statistics().running).toBeGreaterThan(0);
    expect(capacities.payment.inUse).toBe(1);

    SOURCES[cause](order);
    const { steps, error } = await order.outcome;

    expect(error).toBe(KIND[cause]);
    const declined = { status: "failed", kind: "payment_declined", effect: "none" };
    expect(Object.fromEntries(steps.map(({ name, outcome }) => [name, outcome]))).toEqual({
      ...perStep(() => OK),
      payment: cause === "sibling_failed" ? declined : canceledBy(cause, "none"),
      courier: canceledBy(cause, effect),
    });
    expect(fixture.counters.read(courier.runs)).toBe(runs);
    await free?.();
    // At once: nothing of the order is left when its outcome is there.
    for (const capacity of Object.values(capacities)) expect([capacity.inUse, capacity.waiting]).toEqual([0, 0]);
    expect(order.scope.listenerCount).toBe(0);
    await eventually("the sockets to close", () => requests === 0);
  });
});
