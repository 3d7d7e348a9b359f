import { setImmediate as turn } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { randomFrom } from "../../load/stand-in/random.ts";
import { CANCEL_CAUSES, type CancelCause } from "../../src/orders/cancel-cause.ts";
import type { StepOutcome } from "../../src/orders/step.ts";
import { CancelScope } from "../../src/threads/index.ts";
import { eventually } from "../support/eventually.ts";
import { seedOf } from "../support/seed.ts";
import { Fixture } from "./fixture.ts";
import { SilentServer } from "./silent-server.ts";

const SEED = seedOf("SWEEP_SEED");

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

const never = (cause: CancelCause): StepOutcome => ({ status: "canceled", cause, effect: "none" });
const stopped = (cause: CancelCause, effect: "none" | "unknown" = "none"): StepOutcome => ({ status: "canceled", cause, effect });
const OK: StepOutcome = { status: "ok" };

/** What the threads have counted must say the same as the steps' own counts. */
async function expectStarts(count: number, body: () => Promise<void>): Promise<void> {
  const before = fixture.threads.totals().started;
  await body();
  expect(fixture.threads.totals().started - before).toBe(count);
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
      const run = fixture.runner.open(scope);
      expect(fixture.threads.counters().groups).toBe(1);
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
        expect(fixture.threads.counters()).toMatchObject({ groups: 1, unsettled: 1, exclusivePermits: computes ? 1 : 0 });
        step.scope.cancel(cause);
        expect(await step.outcome).toEqual(never(cause));
        expect(fixture.runsOf(step)).toBe(0);
      }));

    test("while it waits to be sent, in the last moment before that", () =>
      expectStarts(0, async () => {
        const scope = new CancelScope();
        // The step before may have left a flush behind, which would come first.
        await turn();
        // Queued before the flush, so it runs in the same phase of the event loop, just ahead of it.
        setImmediate(() => scope.cancel(cause));
        const step = fixture.lone("succeed", { computes, scope });
        expect(await step.outcome).toEqual(never(cause));
        expect(fixture.runsOf(step)).toBe(0);
      }));

    test("computing with checkpoints", () =>
      expectStarts(1, async () => {
        const step = await fixture.running("compute", { computes });
        expect(fixture.threads.totals().running).toBe(1);
        step.scope.cancel(cause);
        expect(await step.outcome).toEqual(stopped(cause));
        expect(fixture.runsOf(step)).toBe(1);
      }));

    test("sleeping", () =>
      expectStarts(1, async () => {
        const step = await fixture.running("sleep", { computes });
        expect(fixture.threads.totals().running).toBe(1);
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
        const before = server.requests;
        const step = fixture.lone(fixture.script("fetch", { calls: true }), { computes });
        await eventually("the request to arrive", () => server.requests === before + 1);
        expect(server.open).toBe(1);
        step.scope.cancel(cause);
        expect(await step.outcome).toEqual(stopped(cause, "unknown"));
        await eventually("the socket to close", () => server.open === 0);
      }));

    test("at return: it does not look any more and ends ok", () =>
      expectStarts(1, async () => {
        const step = await fixture.running("wait_ignoring_cancel", { computes });
        step.scope.cancel(cause);
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
        step.scope.cancel(cause);
        expect(await step.outcome).toEqual(OK);
      }));

    test("after return, its run still open", () =>
      expectStarts(1, async () => {
        const scope = new CancelScope();
        const run = fixture.runner.open(scope);
        const step = fixture.step(run, fixture.script("succeed"), { computes });
        expect(await step.outcome).toEqual(OK);
        scope.cancel(cause);
        expect(await step.outcome).toEqual(OK);
        expect(fixture.threads.counters()).toMatchObject({ groups: 1, unsettled: 0, watchedGroups: 0 });
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
      expect(fixture.threads.counters()).toMatchObject({ groups: 2, unsettled: 2, watchedGroups: 1 });
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
      expect(fixture.threads.counters()).toMatchObject({ groups: 3, exclusivePermits: 1, exclusiveWaiting: 2 });
      step.scope.cancel(cause);
      expect(await step.outcome).toEqual(never(cause));
      expect(fixture.threads.counters()).toMatchObject({ groups: 2, exclusivePermits: 1, exclusiveWaiting: 1 });
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
    const before = fixture.threads.totals().started;
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
    expect(fixture.threads.totals().started - before).toBe(started);
    expect([...seen].sort()).toEqual(["canceled", "ok"]);
  });
});
