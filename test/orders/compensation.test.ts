import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Call } from "../../load/stand-in/call.ts";
import type { FaultMode } from "../../load/stand-in/fault-mode.ts";
import { startStandIn } from "../../load/stand-in/stand-in.ts";
import { perStepSetting, STEPS } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { fastOnce } from "../support/fast-once.ts";
import { postOrder, send } from "../support/http-client.ts";
import { startService, type TestService } from "../support/service.ts";
import { type Fixture, startWithProviders } from "./providers.ts";

const LONG_MS = "60000";
const WAIT_FOR_COMPENSATION_MS = 500;
// Longer than a compensation takes on a busy machine.
const LATE_MS = 1_500;
const ORDER = { order_id: "compensated", amount: 1200 };
const TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/** Notes the compensations in the order of their arrival; `faultModeOf` decides how each call is answered. */
function watchCompensations(faultModeOf: (call: Call) => FaultMode | undefined) {
  const compensated: string[] = [];
  return {
    compensated,
    faultModeOf(call: Call) {
      if (call.action === "compensate") compensated.push(call.step);
      return faultModeOf(call);
    },
  };
}

/** Vendor's "no" to an order whose other steps have ended: only then does it surely stop none of them. */
function refusalAtTheEnd(running: () => TestService): FaultMode {
  const ended = () => running().service.threads.statistics().finished === STEPS.length - 1;
  return { type: "refuse", after: eventually("the other steps to end", ended) };
}

const byStep = (a: { step: string }, b: { step: string }) => a.step.localeCompare(b.step);
const compensations = async (port: number) => (await send(port, { path: "/order/compensated" })).json.attempts[0].compensations;

test("what finished is compensated before the answer, and so is a call of which nobody knows", async () => {
  // An answer waits for no compensation longer than that, and on a machine that stalls one may take as long.
  await fastOnce("an answer", WAIT_FOR_COMPENSATION_MS, async () => {
    let refusedAtMs = Number.NaN;
    const { compensated, faultModeOf } = watchCompensations(({ step, action }) => {
      if (action === "compensate" || step !== "vendor") return undefined;
      const refusal = refusalAtTheEnd(() => fixture.running);
      const after = refusal.after?.then(() => (refusedAtMs = performance.now()));
      return { ...refusal, ...(after && { after }) };
    });
    await using fixture: Fixture = await startWithProviders({ ORDER_TIMEOUT_MS: LONG_MS }, { faultModeOf });
    const answer = await postOrder(fixture.port, ORDER);
    const waitedMs = performance.now() - refusedAtMs;
    expect(answer.status).toBe(503);
    const endings = STEPS.map((name) => (name === "vendor" ? { status: "error", detail: "vendor_unavailable" } : { status: "ok" }));
    expect(answer.json.steps).toMatchObject(endings);
    if (waitedMs >= WAIT_FOR_COMPENSATION_MS) return waitedMs;
    expect(answer.json.steps.map((step: { compensation?: string }) => step.compensation)).toEqual(
      STEPS.map((name) => (name === "vendor" ? undefined : "done")),
    );
    // The vendor too: its 503 may have come from something in between after it had accepted.
    expect(compensated.toSorted()).toEqual(STEPS.toSorted());
    expect(fixture.standIn.ledger.snapshot().counts).toMatchObject({ charges: 1, refunds: 1, assignments: 1, releases: 1, acceptances: 0 });
    expect((await compensations(fixture.port)).toSorted(byStep)).toEqual(
      STEPS.toSorted().map((step) => ({ step, status: "done", tries: 1 })),
    );
    return waitedMs;
  });
});

test("a call that was cut off by the cancel is compensated too: nobody knows what it did", async () => {
  const paying = Promise.withResolvers<void>();
  const { compensated, faultModeOf } = watchCompensations(({ step, action }) => {
    if (action === "compensate") return undefined;
    if (step === "payment") paying.resolve();
    return step === "payment"
      ? { type: "late", lateMs: LATE_MS }
      : step === "vendor"
        ? { type: "refuse", after: paying.promise }
        : undefined;
  });
  await using fixture = await startWithProviders({ ORDER_TIMEOUT_MS: LONG_MS }, { faultModeOf });
  const answer = await postOrder(fixture.port, ORDER);
  expect(answer.json.steps[0]).toMatchObject({ status: "canceled", detail: "sibling_failed" });
  expect(compensated).toContain("payment");
  await fixture.standIn.quiet();
  // The charge came after its tombstone and was refused.
  expect(fixture.standIn.ledger.snapshot().counts).toMatchObject({ charges: 0, refunds: 0, tooLate: 1 });
});

test("the answer does not wait for a provider that is down: pending, and done once it is up", async () => {
  let up = false;
  const { faultModeOf } = watchCompensations(({ step, action }) => {
    if (action === "compensate") return up ? undefined : { type: "failBefore" };
    return step === "vendor" ? refusalAtTheEnd(() => fixture.running) : undefined;
  });
  await using fixture: Fixture = await startWithProviders({ ORDER_TIMEOUT_MS: LONG_MS }, { faultModeOf });
  const answer = await postOrder(fixture.port, ORDER);
  expect(answer.json.steps.map((step: { compensation?: string }) => step.compensation)).toEqual(
    STEPS.map((name) => (name === "vendor" ? undefined : "pending")),
  );
  await eventually(
    "further tries",
    () => compensations(fixture.port),
    (all) => all.every(({ tries }: { tries: number }) => tries > 1),
  );
  up = true;
  await eventually(
    "the compensations",
    () => compensations(fixture.port),
    (all) => all.every(({ status }: { status: string }) => status === "done"),
  );
  expect((await send(fixture.port, { path: "/order/compensated" })).json.steps[0].compensation).toBe("done");
  expect(fixture.standIn.ledger.snapshot().counts).toMatchObject({ charges: 1, refunds: 1, assignments: 1, releases: 1 });
  expect(fixture.running.service.compensator.inFlight).toBe(0);
});

test("compensations go on after a restart", async () => {
  const directory = mkdtempSync(join(tmpdir(), "compensation-"));
  let up = false;
  const traces: (string | string[] | undefined)[] = [];
  const standIn = await startStandIn({
    faultModeOf({ step, action, headers }) {
      traces.push(headers.traceparent);
      if (action === "compensate") return up ? undefined : { type: "failBefore" };
      return step === "vendor" ? refusalAtTheEnd(() => first) : undefined;
    },
  });
  const settings = { JOURNAL: join(directory, "orders.db"), ORDER_TIMEOUT_MS: LONG_MS, ...perStepSetting("URL", () => standIn.url) };
  let first: TestService;
  try {
    first = await startService(settings);
    await send(first.port, { method: "POST", path: "/order", headers: { traceparent: TRACE }, body: JSON.stringify(ORDER) });
    await first.stop();
    expect(traces.length).toBeGreaterThan(3);
    expect(new Set(traces)).toEqual(new Set([TRACE]));
    traces.length = 0;
    expect(standIn.ledger.snapshot().counts).toMatchObject({ charges: 1, refunds: 0 });
    up = true;
    await using second = await startService(settings);
    await eventually(
      "the compensations",
      () => compensations(second.port),
      (all) => all.every(({ status }: { status: string }) => status === "done"),
    );
    expect(standIn.ledger.snapshot().counts).toMatchObject({ charges: 1, refunds: 1, assignments: 1, releases: 1 });
    // The order's own trace ended with its process; every call is part of some trace all the same.
    for (const trace of traces) expect(trace).toMatch(/^00-[\da-f]{32}-[\da-f]{16}-01$/);
  } finally {
    await standIn.close();
    rmSync(directory, { recursive: true, force: true });
  }
});

// A gateway says "key in use" (409), "too slow" (408), "too early" (425) or "see there" (303) of a charge that was made.
test("a payment that was charged and then answered with 409, 408, 425 or 303 is refunded", async () => {
  const statuses = [409, 408, 425, 303];
  await using fixture = await startWithProviders(
    {},
    {
      faultModeOf: ({ step, action, body }) =>
        step === "payment" && action === "perform" ? { type: "failAfter", status: Number(body.order_id) } : undefined,
    },
  );
  for (const status of statuses) {
    const answer = await postOrder(fixture.port, { order_id: String(status), amount: 1200 });
    expect([answer.status, answer.json.error]).toEqual([503, { kind: "payment_unavailable", message: "order failed" }]);
    const { ledger } = fixture.standIn;
    await eventually("the refund", () => ledger.find("payment", `${status}:1:payment`)?.compensated.length === 1);
  }
  expect(fixture.standIn.ledger.snapshot().counts).toMatchObject({ charges: statuses.length, refunds: statuses.length });
});
