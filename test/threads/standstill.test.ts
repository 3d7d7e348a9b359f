import { expect, test } from "vitest";
import { Fixture } from "./fixture.ts";
import { canceled, lost, OK } from "./recovery.ts";

test.each(["spin", "compute", "compute_in_microtasks"] as const)(
  "%s: a shared thread whose event loop does not turn is replaced with no order canceled; no other is, nor one that computes alone",
  async (script) => {
    await using fixture = await Fixture.start({ shared: 2, exclusive: 2, graceMs: 60 });
    await fixture.spreadsSteps();
    const beside = await fixture.running("wait");
    const elsewhere = await fixture.running("wait");
    const computing = [await fixture.running("compute", { computes: true }), await fixture.running("spin", { computes: true })] as const;
    const stuck = await fixture.running(script);
    expect(fixture.threads.totals().running).toBe(5);
    for (const step of [stuck, beside]) expect(await step.outcome).toEqual(lost("heartbeat"));
    // They have computed for longer.
    expect(fixture.threads.totals().running).toBe(3);
    expect(fixture.reasons()).toEqual(["heartbeat"]);
    for (const step of [elsewhere, computing[0]]) {
      fixture.open(step);
      expect(await step.outcome).toEqual(OK);
    }
    // Until its order is canceled.
    computing[1].scope.cancel("client_disconnected");
    expect(await computing[1].outcome).toEqual(canceled());
    fixture.expectIdle();
    for (const computes of [false, true, true]) expect(await fixture.lone("succeed", { computes }).outcome).toEqual(OK);
    fixture.expectIdle();
  },
);
