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
  const ended = () => running().service.threads.totals().finished === STEPS.length - 1;
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

test("a compensation that never answers has a deadline of its own and holds up neither the answer nor the payment's", async () => {
  const { faultModeOf } = watchCompensations(({ step, action, nth }) => {
    if (action === "compensate") return nth === 1 && step === "vendor" ? { type: "answer", slowMs: 60_000 } : undefined;
    return step === "vendor" ? refusalAtTheEnd(() => fixture.running) : undefined;
  });
  const settings = { ORDER_TIMEOUT_MS: LONG_MS, COMPENSATION_TIMEOUT_MS: "4000" };
  await using fixture: Fixture = await startWithProviders(settings, { faultModeOf });
  const answer = await postOrder(fixture.port, ORDER);
  expect(answer.json.steps).toMatchObject(STEPS.map((name) => (name === "vendor" ? { status: "error" } : { status: "ok" })));
  // Mostly before the answer, which waits half a second for them.
  const others = await eventually(
    "the other compensations",
    () => compensations(fixture.port),
    (each) => each.filter(({ status }: { status: string }) => status === "done").length === STEPS.length - 1,
  );
  // Its first try goes on.
  expect(fixture.running.service.compensator.inFlight).toBe(1);
  expect(others.find(({ step }: { step: string }) => step === "vendor")).toMatchObject({ status: "trying", tries: 0 });
  const all = await eventually(
    "the vendor's second try",
    () => compensations(fixture.port),
    (each) => each.every(({ status }: { status: string }) => status === "done"),
  );
  expect(all.toSorted(byStep).map(({ tries }: { tries: number }) => tries)).toEqual(
    STEPS.toSorted().map((step) => (step === "vendor" ? 2 : 1)),
  );
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
