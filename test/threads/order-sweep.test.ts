import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { CANCEL_CAUSES, type CancelCause } from "../../src/orders/cancel-cause.ts";
import type { OrderOutcome } from "../../src/orders/outcome.ts";
import { Pipeline } from "../../src/orders/pipeline.ts";
import type { StepOutcome } from "../../src/orders/step.ts";
import { perStep, type StepName } from "../../src/orders/steps.ts";
import { CancelScope, Capacity } from "../../src/threads/index.ts";
import { eventually } from "../support/eventually.ts";
import { Fixture, type LoneStep } from "./fixture.ts";
import type { Plan, Script } from "./script.ts";
import { SilentServer } from "./silent-server.ts";

let fixture: Fixture;
let server: SilentServer;

beforeAll(async () => {
  server = await SilentServer.start();
  // One thread of each kind, so that a busy one is the one that a step has to wait for.
  fixture = await Fixture.start({ shared: 1, exclusive: 1, url: server.url });
});

afterAll(async () => {
  await fixture.threads.close();
  server.close();
});

afterEach(() => {
  fixture.expectIdle();
  expect(fixture.replacements).toEqual([]);
  expect(fixture.faults).toEqual([]);
});

const OK: StepOutcome = { status: "ok" };
const stopped = (cause: CancelCause, effect: "none" | "unknown" = "none"): StepOutcome => ({ status: "canceled", cause, effect });

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
  const ending = Object.values(others);
  const plan: Plan = { ...others, payment: failing, courier };
  const scope = new CancelScope<CancelCause>();
  const client = new CancelScope<CancelCause>();
  const linked = scope.link(client);
  const input = { orderId: JSON.stringify(plan), amount: 1, attempt: 1, simulation: { cpuMs: { courier: computes ? 1 : 0 } } };
  const outcome = new Pipeline(fixture.runner, capacities).run(input, scope).finally(() => linked.unsubscribe());
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
    reached: () => eventually("the courier to wait", () => fixture.threads.counters().exclusiveWaiting === 1),
  },
  sleeping: { script: () => fixture.script("sleep"), runs: 1, reached: running },
  "in fetch": {
    script: () => fixture.script("fetch", { calls: true }),
    runs: 1,
    effect: "unknown",
    reached: () => eventually("the request to arrive", () => server.open === 1),
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
    expect(fixture.threads.totals().running).toBeGreaterThan(0);
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
    await eventually("the sockets to close", () => server.open === 0);
  });
});
