import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { MAX_COMPENSATING } from "../../src/orders/compensation-call.ts";
import { Compensator } from "../../src/orders/compensator.ts";
import type { FirstTry } from "../../src/orders/order-journal.ts";
import { ProviderHealth } from "../../src/orders/provider-health.ts";
import type { AttemptInput, StepOutcome } from "../../src/orders/step.ts";
import { STEPS, type StepName } from "../../src/orders/steps.ts";
import { PROBE_BACKOFF } from "../../src/retries/backoff.ts";
import { CancelScope } from "../../src/threads/index.ts";
import { timers } from "../leaks/timers.ts";
import { FakeClock } from "../retries/fake-clock.ts";
import { eventually } from "../support/eventually.ts";
import { FakeRunner, type FakeStep } from "../threads/fake-runner.ts";
import { FakeJournal } from "./fake-journal.ts";

const OK: StepOutcome = { status: "ok" };
const NO: StepOutcome = { status: "failed", kind: "vendor_unavailable", effect: "unknown", answer: "HTTP 503" };
const TIMEOUT_MS = 60_000;
// What the compensator keeps apart for each provider.
const FIRST_TRIES = 64;
const RETRIES = 32;

let runner: FakeRunner;
let journal: FakeJournal;
let clock: FakeClock;
let compensator: Compensator;
let faults: string[];
let down: string[];
let timersBefore: number;
let vendor: ProviderHealth;

beforeEach(() => {
  timersBefore = timers();
  runner = new FakeRunner();
  journal = new FakeJournal();
  clock = new FakeClock();
  faults = [];
  down = [];
  vendor = new ProviderHealth({ random: () => 1 });
  compensator = new Compensator({
    runner,
    journal,
    clock,
    timeoutMs: TIMEOUT_MS,
    random: () => 1,
    providers: { vendor },
    onDown: (step, isDown) => void down.push(`${step} ${isDown ? "down" : "up"}`),
    onFault: (message) => void faults.push(message),
  });
});

afterEach(async () => {
  await compensator.stop();
  expect([compensator.inFlight, runner.running, runner.opened - runner.closed, clock.timers]).toEqual([0, 0, 0, 0]);
  expect(timers()).toBe(timersBefore);
});

const inputOf = (orderId: string): AttemptInput => ({ orderId, amount: 7, attempt: 1 });
const calls = (step: StepName): FakeStep[] => runner.started.filter(({ spec }) => spec.name === step);

/** What the order's end does: writes down how far it is, then reports that it is stored. */
async function store(orderId: string, compensating: ReturnType<Compensator["begin"]>): Promise<FirstTry[]> {
  const first = compensating.describe(clock.nowMs());
  await journal.accept({ orderId, amount: 7, nowMs: 0 });
  await journal.finish({ orderId, attempt: 1, answer: { error: "internal", json: "" }, compensations: first, nowMs: clock.nowMs() });
  compensating.stored();
  return first;
}

/** Lets everything happen that needs no time. */
async function settle(): Promise<void> {
  for (let n = 0; n < 5; n++) await turn();
}

/** Has so many orders fail at a provider, enough for it to count as down. */
async function takeDown(step: StepName): Promise<void> {
  for (let n = 0; n < 5; n++) {
    const compensating = compensator.begin(inputOf(`dead-${n}`), [step]);
    await settle();
    calls(step).at(-1)?.end(NO);
    await compensating.firstTries;
  }
  expect(down).toEqual([`${step} down`]);
}

describe("the first tries of an order", () => {
  test("begin at once, side by side; what is done when it is described is stored as done and not tried again", async () => {
    compensator.start();
    const compensating = compensator.begin(inputOf("o"), STEPS);
    await settle();
    expect(runner.names()).toEqual([...STEPS]);
    expect(runner.started.map(({ spec, input }) => [spec.action, input])).toEqual(STEPS.map(() => ["compensate", inputOf("o")]));
    expect(compensator.inFlight).toBe(STEPS.length);
    for (const step of runner.started) step.end(OK);
    await compensating.firstTries;
    expect(compensator.inFlight).toBe(0);
    expect(await store("o", compensating)).toEqual(STEPS.map((step) => ({ step, tries: 1 })));
    clock.advance(TIMEOUT_MS * 2);
    await settle();
    expect(runner.started).toHaveLength(STEPS.length);
    expect(journal.tried).toEqual([]);
  });

  test("that failed are rows with what the provider said, tried again after a pause that grows", async () => {
    compensator.start();
    const compensating = compensator.begin(inputOf("o"), ["payment"]);
    await settle();
    calls("payment")[0]?.end(NO);
    await compensating.firstTries;
    const [first] = await store("o", compensating);
    expect(first).toEqual({ step: "payment", tries: 1, nextTryMs: clock.nowMs() + 200, lastAnswer: "HTTP 503" });
    await settle();
    for (const [tries, pauseMs] of [
      [1, 200],
      [2, 400],
      [3, 800],
    ] as const) {
      expect(journal.row("payment", "o")).toMatchObject({ tries, nextTryMs: clock.nowMs() + pauseMs });
      clock.advance(pauseMs - 1);
      await settle();
      expect(calls("payment")).toHaveLength(tries);
      clock.advance(100);
      await settle();
      expect(calls("payment")).toHaveLength(tries + 1);
      calls("payment")
        .at(-1)
        ?.end(tries === 3 ? OK : NO);
      await settle();
    }
    expect(journal.row("payment", "o")).toMatchObject({ tries: 4, nextTryMs: undefined });
  });

  test("one that is under way when it is stored is written down once, at its end, and not tried beside it", async () => {
    compensator.start();
    const compensating = compensator.begin(inputOf("o"), ["payment", "vendor"]);
    await settle();
    calls("payment")[0]?.end(OK);
    await settle();
    const [payment, vendor] = await store("o", compensating);
    expect(payment).toEqual({ step: "payment", tries: 1 });
    expect(vendor?.tries).toBe(0);
    // Its deadline passes before its row is due.
    expect(vendor?.nextTryMs).toBeGreaterThan(clock.nowMs() + TIMEOUT_MS);
    clock.advance(TIMEOUT_MS);
    await settle();
    expect(calls("vendor")).toHaveLength(1);
    expect(compensator.inFlight).toBe(1);
    calls("vendor")[0]?.end(OK);
    await settle();
    expect(journal.tried).toMatchObject([{ orderId: "o", attempt: 1, step: "vendor" }]);
    expect(journal.row("vendor", "o")).toMatchObject({ tries: 1, nextTryMs: undefined });
    clock.advance(TIMEOUT_MS);
    await settle();
    expect(calls("vendor")).toHaveLength(1);
  });

  test("one that ends between being described and being stored is written down once", async () => {
    const compensating = compensator.begin(inputOf("o"), ["vendor"]);
    await settle();
    let open = () => {};
    journal.gate = new Promise((resolve) => (open = resolve));
    const storing = store("o", compensating);
    calls("vendor")[0]?.end(NO);
    await settle();
    expect(journal.tried).toEqual([]);
    open();
    await storing;
    await settle();
    expect(journal.tried).toHaveLength(1);
    expect(journal.row("vendor", "o")).toMatchObject({ tries: 1, nextTryMs: clock.nowMs() + 200, lastAnswer: "HTTP 503" });
  });

  test("that was described and not stored, for the journal refused, is described anew", async () => {
    const compensating = compensator.begin(inputOf("o"), ["vendor"]);
    await settle();
    expect(compensating.describe(clock.nowMs())).toMatchObject([{ tries: 0 }]);
    calls("vendor")[0]?.end(OK);
    await settle();
    expect(await store("o", compensating)).toEqual([{ step: "vendor", tries: 1 }]);
    await settle();
    expect(journal.tried).toEqual([]);
  });

  test("that wait for their bulkhead when they are described are not begun any more: the row is tried", async () => {
    const full = Array.from({ length: FIRST_TRIES }, (_, n) => compensator.begin(inputOf(`o-${n}`), ["vendor"]));
    const late = compensator.begin(inputOf("late"), ["vendor"]);
    await settle();
    expect(await store("late", late)).toEqual([{ step: "vendor", tries: 0, nextTryMs: clock.nowMs() }]);
    for (const step of calls("vendor")) step.end(OK);
    await Promise.all([...full, late].map(({ firstTries }) => firstTries));
    expect(calls("vendor")).toHaveLength(FIRST_TRIES);
    compensator.start();
    await settle();
    expect(calls("vendor").at(-1)?.input.orderId).toBe("late");
    await drainRows("vendor");
  });

  test("leave nothing with the compensator, which outlives them", async () => {
    const link = vi.spyOn(CancelScope.prototype, "link");
    const compensating = compensator.begin(inputOf("o"), STEPS);
    await settle();
    const parents = link.mock.calls.map(([parent]) => parent as CancelScope);
    expect(parents.map(({ listenerCount }) => listenerCount)).toEqual(STEPS.map(() => STEPS.length));
    for (const step of runner.started) step.end(OK);
    await compensating.firstTries;
    expect(parents.map(({ listenerCount }) => listenerCount)).toEqual(STEPS.map(() => 0));
    link.mockRestore();
  });

  test("that the threads have no room for are rows, due now", async () => {
    runner.room = 0;
    const compensating = compensator.begin(inputOf("o"), ["payment"]);
    await compensating.firstTries;
    expect(faults).toEqual(["a compensation could not be tried"]);
    expect(await store("o", compensating)).toEqual([{ step: "payment", tries: 0, nextTryMs: clock.nowMs() }]);
    expect(compensator.inFlight).toBe(0);
  });

  test("have a deadline of their own", async () => {
    const hasty = new Compensator({ runner, journal, clock, timeoutMs: 20, random: () => 1 });
    const compensating = hasty.begin(inputOf("o"), ["vendor"]);
    await compensating.firstTries;
    expect(compensating.describe(clock.nowMs())).toEqual([
      { step: "vendor", tries: 1, nextTryMs: clock.nowMs() + 200, lastAnswer: "no answer in 20 ms" },
    ]);
    await hasty.stop();
  });
});

describe("a provider that is down", () => {
  test("gets no first try: the row is due now, and one at a time probes", async () => {
    await takeDown("vendor");
    compensator.start();
    const failed = calls("vendor").length;
    const compensating = compensator.begin(inputOf("o"), ["payment", "vendor"]);
    await settle();
    expect([calls("payment").length, calls("vendor").length]).toEqual([1, failed]);
    calls("payment")[0]?.end(OK);
    await compensating.firstTries;
    const [, vendor] = await store("o", compensating);
    expect(vendor).toEqual({ step: "vendor", tries: 0, nextTryMs: clock.nowMs() });
    for (let n = 0; n < 10; n++) journal.addRow("vendor", clock.nowMs());
    clock.advance(10_000);
    await settle();
    expect(calls("vendor")).toHaveLength(failed + 1);
    calls("vendor").at(-1)?.end(OK);
    await settle();
    expect(down).toEqual(["vendor down", "vendor up"]);
    await drainRows("vendor");
    expect(journal.row("vendor", "o")).toMatchObject({ tries: 1, nextTryMs: undefined });
  });

  test("keeps no other's compensations waiting, however many of its own wait", async () => {
    const orders = Array.from({ length: 3 * FIRST_TRIES }, (_, n) => compensator.begin(inputOf(`o-${n}`), ["vendor", "payment"]));
    for (let seen = -1; seen < calls("payment").length; await settle()) {
      seen = calls("payment").length;
      for (const step of calls("payment")) step.end(OK);
    }
    expect(calls("payment")).toHaveLength(orders.length);
    expect(calls("vendor")).toHaveLength(FIRST_TRIES);
    // Whoever has waited for too long is a row.
    await eventually("the line to be left", () => timers() === timersBefore + FIRST_TRIES);
    for (const step of calls("vendor")) step.end(OK);
    await Promise.all(orders.map(({ firstTries }) => firstTries));
    expect(calls("vendor")).toHaveLength(FIRST_TRIES);
    const rows = orders.flatMap((order) => order.describe(clock.nowMs()));
    expect(rows.filter(({ nextTryMs }) => nextTryMs === undefined)).toHaveLength(orders.length + FIRST_TRIES);
    expect(rows.filter(({ tries }) => tries === 0)).toEqual(
      orders.slice(FIRST_TRIES).map(() => ({ step: "vendor", tries: 0, nextTryMs: clock.nowMs() })),
    );
  });

  test("has refused one compensation again and again, and takes others: it does not look down", async () => {
    compensator.start();
    for (let n = 0; n < 10; n++) journal.addRow("payment", clock.nowMs()).tries = 3;
    compensator.tryNow(journal.addRow("payment", clock.nowMs()));
    await settle();
    for (const step of calls("payment")) step.end({ ...NO, answer: "HTTP 404" } as StepOutcome);
    await settle();
    expect(down).toEqual([]);
  });

  test("has too much to do, also for those it refused before: fewer go to it at one time, and then one probes", async () => {
    compensator.start();
    for (let n = 0; n < 100; n++) journal.addRow("payment", clock.nowMs()).tries = 3;
    await settle();
    expect(compensator.inFlight).toBe(RETRIES);
    for (const step of calls("payment").slice(0, 3)) step.end({ ...NO, answer: "HTTP 429" } as StepOutcome);
    await settle();
    clock.advance(20);
    await settle();
    // The limit was halved three times, so nothing takes their place.
    expect(compensator.inFlight).toBe(RETRIES - 3);
    for (const step of calls("payment")) step.end({ ...NO, answer: "HTTP 429" } as StepOutcome);
    await settle();
    expect(down).toEqual(["payment down"]);
    await drainRows("payment");
  });
});

/** Ends all calls to a provider as they come, until no row of it waits. */
async function drainRows(step: StepName): Promise<void> {
  await eventually(`all rows of ${step} to be done`, async () => {
    for (const call of calls(step)) call.end(OK);
    await settle();
    clock.advance(1_000);
    return journal.rows.every((row) => row.step !== step || row.nextTryMs === undefined);
  });
}

test("rows: 32 at one time for a provider, beside 64 first tries; the runner needs room for no more", async () => {
  for (const step of STEPS) for (let n = 0; n < 200; n++) journal.addRow(step, clock.nowMs() - 1);
  compensator.start();
  const orders = Array.from({ length: 100 }, (_, n) => compensator.begin(inputOf(`o-${n}`), STEPS));
  const seen = new Set<number>();
  for (let n = 0; n < 50; n++) {
    await settle();
    clock.advance(20);
    seen.add(compensator.inFlight);
  }
  for (const step of STEPS) {
    const [first, rows] = [true, false].map(
      (isFirst) => calls(step).filter(({ input }) => input.orderId.startsWith("o-") === isFirst).length,
    );
    expect([step, first, rows]).toEqual([step, FIRST_TRIES, RETRIES]);
  }
  expect(Math.max(...seen)).toBe(MAX_COMPENSATING);
  expect(runner.opened - runner.closed).toBe(MAX_COMPENSATING);
  for (const step of STEPS) await drainRows(step);
  await Promise.all(orders.map(({ firstTries }) => firstTries));
});

describe("a journal that refuses for a while", () => {
  test("when a row has been tried: written down later, the row not tried beside it", async () => {
    compensator.start();
    const row = journal.addRow("payment", clock.nowMs());
    compensator.tryNow({ ...row });
    await settle();
    journal.full = true;
    calls("payment")[0]?.end(OK);
    await settle();
    clock.advance(TIMEOUT_MS);
    await settle();
    expect(calls("payment")).toHaveLength(1);
    expect(row.nextTryMs).toBeDefined();
    journal.full = false;
    clock.advance(PROBE_BACKOFF.capMs);
    await settle();
    expect(row.nextTryMs).toBeUndefined();
    expect(row.tries).toBe(1);
    expect(faults).toEqual(["a compensation is not written down yet"]);
  });

  test("when a first try has ended: the same, and a stop does not wait for it", async () => {
    const compensating = compensator.begin(inputOf("o"), ["payment"]);
    await settle();
    await store("o", compensating);
    journal.full = true;
    calls("payment")[0]?.end(OK);
    await settle();
    expect(faults).toEqual(["a compensation is not written down yet"]);
    await compensator.stop();
    // Not lost: the next start tries it again, which is harmless.
    expect(journal.row("payment", "o").nextTryMs).toBeDefined();
  });
});

describe("an operator's try", () => {
  test("goes at once, whatever the provider's health, and ends when it is written down", async () => {
    await takeDown("payment");
    const row = journal.addRow("payment", clock.nowMs() + 1_000_000);
    const before = calls("payment").length;
    let ended = false;
    const trying = compensator.tryNow({ ...row }).then(() => (ended = true));
    await settle();
    expect(calls("payment")).toHaveLength(before + 1);
    expect(calls("payment").at(-1)?.input).toMatchObject({ orderId: row.orderId, attempt: 1, amount: 1 });
    // The order's own trace ended long ago.
    expect(calls("payment").at(-1)?.input.traceparent).toMatch(/^00-[\da-f]{32}-[\da-f]{16}-01$/);
    expect(ended).toBe(false);
    calls("payment").at(-1)?.end(OK);
    await trying;
    expect(row).toMatchObject({ tries: 1, nextTryMs: undefined });
    expect(down).toEqual(["payment down", "payment up"]);
  });

  test("asked for twice is one try", async () => {
    const row = journal.addRow("vendor", clock.nowMs());
    const both = [compensator.tryNow({ ...row }), compensator.tryNow({ ...row })];
    await settle();
    expect(calls("vendor")).toHaveLength(1);
    calls("vendor")[0]?.end(OK);
    await Promise.all(both);
    expect(row.tries).toBe(1);
  });

  test("after a stop is refused", async () => {
    await compensator.stop();
    await expect(compensator.tryNow({ ...journal.addRow("vendor", 0) })).rejects.toThrow();
    expect(runner.started).toEqual([]);
  });
});

describe("a stop", () => {
  const positions: Readonly<Record<string, () => Promise<unknown>>> = {
    "before the start": () => Promise.resolve(),
    "before the permit is had": async () => compensator.begin(inputOf("o"), STEPS),
    "while first tries are under way": async () => {
      compensator.begin(inputOf("o"), STEPS);
      await settle();
    },
    "while first tries wait for their bulkhead": async () => {
      for (let n = 0; n < 2 * FIRST_TRIES; n++) compensator.begin(inputOf(`o-${n}`), ["vendor"]);
      await settle();
    },
    "while what is due is read": async () => {
      journal.gate = new Promise((resolve) => setTimeout(resolve, 5));
      journal.addRow("vendor", 0);
      compensator.start();
    },
    "while rows are tried": async () => {
      for (let n = 0; n < 40; n++) journal.addRow("payment", 0);
      compensator.start();
      await settle();
      expect(compensator.inFlight).toBe(RETRIES);
    },
    "while a provider is down and a probe waits": async () => {
      await takeDown("courier");
      compensator.start();
      await settle();
    },
  };

  test.each(Object.keys(positions))("%s leaves nothing running and loses no row", async (position) => {
    await positions[position]?.();
    const waiting = journal.rows.filter(({ nextTryMs }) => nextTryMs !== undefined).length;
    await compensator.stop();
    expect([compensator.inFlight, runner.running]).toEqual([0, 0]);
    expect(journal.rows.filter(({ nextTryMs }) => nextTryMs !== undefined)).toHaveLength(waiting);
    const started = runner.started.length;
    clock.advance(1_000_000);
    await settle();
    expect(runner.started).toHaveLength(started);
  });

  test("cuts a first try off: its row is stored as not done, and the order that is stored after it loses nothing", async () => {
    const early = compensator.begin(inputOf("early"), ["payment"]);
    const late = compensator.begin(inputOf("late"), ["payment"]);
    await settle();
    await store("early", early);
    await compensator.stop();
    await store("late", late);
    for (const orderId of ["early", "late"])
      expect(journal.row("payment", orderId)).toMatchObject({ tries: 0, nextTryMs: expect.any(Number) });
    // Nothing of it is under way any more, so the next start need not wait.
    expect(journal.row("payment", "late").nextTryMs).toBe(clock.nowMs());
    expect(journal.tried).toEqual([]);
  });

  test("before an order begins to compensate: its rows are due at the next start", async () => {
    await compensator.stop();
    const compensating = compensator.begin(inputOf("o"), STEPS);
    await compensating.firstTries;
    expect(runner.started).toEqual([]);
    expect(await store("o", compensating)).toEqual(STEPS.map((step) => ({ step, tries: 0, nextTryMs: clock.nowMs() })));
  });
});

describe("a provider whose circuit orders and compensations share", () => {
  const UNAVAILABLE: StepOutcome = { ...NO, unavailable: {} };
  const tryOne = async (orderId: string, outcome: StepOutcome) => {
    const before = calls("vendor").length;
    const compensating = compensator.begin(inputOf(orderId), ["vendor"]);
    await settle();
    if (calls("vendor").length > before) calls("vendor").at(-1)?.end(outcome);
    await compensating.firstTries;
    return compensating;
  };
  /** From now on the vendor's calls end like this. */
  const answerWith = (outcome: StepOutcome) => {
    runner.onStart = (step) => setImmediate(() => step.end(outcome));
  };
  const row = (id: number) => ({ id, orderId: `o-${id}`, amount: 7, attempt: 1, step: "vendor", tries: 0 }) as const;
  const openByOrders = () => {
    for (let n = 0; n < 20; n++) vendor.circuit.leave(vendor.circuit.tryEnter() as number, "failed");
    expect(vendor.circuit.state).toBe("open");
  };

  test("orders that fail there stop compensations but for probes, and one that went well goes on with both", async () => {
    compensator.start();
    openByOrders();
    expect(down).toEqual(["vendor down"]);
    const waits = await tryOne("waits", OK);
    expect(calls("vendor")).toHaveLength(0);
    await store("waits", waits);
    await settle();
    expect(calls("vendor")).toHaveLength(0);
    clock.advance(500);
    await settle();
    expect(calls("vendor")).toHaveLength(1);
    calls("vendor")[0]?.end(OK);
    await settle();
    expect(down).toEqual(["vendor down", "vendor up"]);
  });

  test("an order that had an answer there lets compensations go on before their next probe is due", async () => {
    compensator.start();
    openByOrders();
    await store("waits", await tryOne("waits", OK));
    await settle();
    expect(calls("vendor")).toHaveLength(0);
    await eventually("an order's probe", () => vendor.circuit.admits);
    vendor.circuit.leave(vendor.circuit.tryEnter() as number, "ok");
    await settle();
    expect([down, calls("vendor").length]).toEqual([["vendor down", "vendor up"], 1]);
    calls("vendor")[0]?.end(OK);
    await settle();
  });

  test("compensations that fail there while no order goes well open it for orders, and one that is done closes it", async () => {
    compensator.start();
    answerWith(UNAVAILABLE);
    for (let id = 1; vendor.circuit.state === "closed"; id++) {
      expect(id).toBeLessThanOrEqual(20);
      await compensator.tryNow(row(id));
    }
    expect([vendor.circuit.tryEnter(), calls("vendor").length]).toEqual([undefined, 20]);
    answerWith(OK);
    await compensator.tryNow(row(99));
    expect(vendor.circuit.state).toBe("closed");
  });

  test("answers to this one compensation are no sign that the provider is unavailable", async () => {
    compensator.start();
    answerWith(NO);
    for (let id = 1; id <= 30; id++) await compensator.tryNow(row(id));
    expect([vendor.circuit.state, calls("vendor").length]).toEqual(["closed", 30]);
  });

  test("one that asks a compensation to wait gets orders all the same: its retries would keep them out for ever", async () => {
    compensator.start();
    await tryOne("o", { ...NO, answer: "HTTP 429", unavailable: { retryAfterMs: 7_000 } });
    expect([vendor.circuit.state, vendor.circuit.admits]).toEqual(["closed", true]);
  });
});
