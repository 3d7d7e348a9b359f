import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Call } from "../../load/stand-in/call.ts";
import type { FaultMode } from "../../load/stand-in/fault-mode.ts";
import { startStandIn } from "../../load/stand-in/stand-in.ts";
import { perStepSetting, STEPS } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { postOrder, send } from "../support/http-client.ts";
import { startService } from "../support/service.ts";
import { startWithProviders } from "./providers.ts";

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

const byStep = (a: { step: string }, b: { step: string }) => a.step.localeCompare(b.step);
const compensations = async (port: number) => (await send(port, { path: "/order/compensated" })).json.attempts[0].compensations;

test("what finished is compensated before the answer, and so is a call of which nobody knows", async () => {
  const { compensated, faultModeOf } = watchCompensations(({ step, action }) => {
    if (action === "compensate") return undefined;
    return step === "vendor" ? { type: "refuse", slowMs: 300 } : undefined;
  });
  await using fixture = await startWithProviders({}, { faultModeOf });
  const answer = await postOrder(fixture.port, ORDER);
  expect(answer.status).toBe(503);
  expect(answer.json.steps).toMatchObject(
    STEPS.map((name) =>
      name === "vendor" ? { name, status: "error", detail: "vendor_unavailable" } : { name, status: "ok", compensation: "done" },
    ),
  );
  expect(answer.json.steps[STEPS.indexOf("vendor")].compensation).toBeUndefined();
  // The vendor too: its 503 may have come from something in between after it had accepted.
  expect(compensated.toSorted()).toEqual(STEPS.toSorted());
  expect(fixture.standIn.ledger.snapshot().counts).toMatchObject({ charges: 1, refunds: 1, assignments: 1, releases: 1, acceptances: 0 });
  expect((await compensations(fixture.port)).toSorted(byStep)).toEqual(
    STEPS.toSorted().map((step) => ({ step, status: "done", tries: 1 })),
  );
});

test("a call that was cut off by the cancel is compensated too: nobody knows what it did", async () => {
  const { compensated, faultModeOf } = watchCompensations(({ step, action }) => {
    if (action === "compensate") return undefined;
    return step === "payment" ? { type: "late", lateMs: 400 } : step === "vendor" ? { type: "refuse", slowMs: 50 } : undefined;
  });
  await using fixture = await startWithProviders({}, { faultModeOf });
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
    return step === "vendor" ? { type: "refuse", slowMs: 100 } : undefined;
  });
  await using fixture = await startWithProviders({}, { faultModeOf });
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
    return step === "vendor" ? { type: "refuse", slowMs: 100 } : undefined;
  });
  await using fixture = await startWithProviders({ COMPENSATION_TIMEOUT_MS: "1500" }, { faultModeOf });
  const answer = await postOrder(fixture.port, ORDER);
  expect(answer.json.steps).toMatchObject(STEPS.map((name) => (name === "vendor" ? {} : { status: "ok", compensation: "done" })));
  // Its first try goes on.
  expect(fixture.running.service.compensator.inFlight).toBe(1);
  expect((await compensations(fixture.port)).find(({ step }: { step: string }) => step === "vendor")).toMatchObject({
    status: "pending",
    tries: 0,
  });
  const all = await eventually(
    "the vendor's second try",
    () => compensations(fixture.port),
    (each) => each.every(({ status }: { status: string }) => status === "done"),
    20_000,
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
      return step === "vendor" ? { type: "refuse", slowMs: 100 } : undefined;
    },
  });
  const settings = { JOURNAL: join(directory, "orders.db"), ...perStepSetting("URL", () => standIn.url) };
  try {
    const first = await startService(settings);
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
