import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { perStep, STEPS } from "../../src/orders/steps.ts";
import { timers } from "../leaks/timers.ts";
import { eventually } from "../support/eventually.ts";
import { newId, orderOf, postOrder, send } from "../support/http-client.ts";
import { startService, type TestService } from "../support/service.ts";
import { checked, traceOf } from "./recording.ts";
import { type CheckedEvent, draw } from "./trace-format.ts";

const LONG = 60_000;
const SETTINGS = { THREADS: "2", CPU_THREADS: "2", ORDER_TIMEOUT_MS: "60000", CANCEL_GRACE_MS: "20000" };

let running: TestService;
beforeAll(async () => {
  running = await startService(SETTINGS);
});
afterAll(() => running.stop());

/** Places an order that ends only when its client hangs up, which the returned function does. */
async function placeUntilHangUp(
  { port, service }: TestService,
  order: { readonly order_id: string; readonly [field: string]: unknown },
  isRunning: () => boolean,
): Promise<() => Promise<void>> {
  const client = new AbortController();
  const answer = postOrder(port, order, { signal: client.signal }).catch(() => {});
  await eventually("the order to run", isRunning);
  return async () => {
    client.abort();
    await answer;
    await eventually("the order to end", () => Object.keys(service.orderService.fieldsOf(order.order_id)).length === 0);
  };
}

const named = (events: readonly CheckedEvent[], ph: CheckedEvent["ph"], name: string | RegExp) =>
  events.filter((event) => event.ph === ph && (typeof name === "string" ? event.name === name : name.test(event.name)));

const idsOf = (events: readonly CheckedEvent[]) => named(events, "b", "order").map(({ args }) => args.order_id);

/** A recording that may go on for a minute, until its client hangs up. */
const record = (signal: AbortSignal) => send(running.adminPort, { path: "/debug/trace?seconds=60", signal }).catch(() => "hung up");

/** The step's slice around the moment that Perfetto binds this end of an arrow to. */
function sliceAround(events: readonly CheckedEvent[], end: CheckedEvent): CheckedEvent | undefined {
  const moment = draw(events).boundTo.get(end);
  expect([moment?.ph, moment?.cat]).toEqual(["i", "cancel"]);
  return events.find(
    (event) => event.ph === "X" && event.tid === moment?.tid && event.ts <= moment.ts && moment.ts <= event.ts + event.dur,
  );
}

test("two orders that compute run on two OS threads at one time", async () => {
  const { threads } = running.service;
  const finishedBefore = threads.statistics().finished;
  const busy = () => threads.statistics().threads.filter((thread) => thread.pool === "exclusive" && thread.running === 1).length;
  const ids = [newId("computes"), newId("computes")];
  const { events, trackOf } = await traceOf(running, async () => {
    const hangUps: (() => Promise<void>)[] = [];
    for (const [index, id] of ids.entries()) {
      const orders = index + 1;
      // A hang-up would stop the other steps too while they run, and each of them would have an arrow.
      const onlyComputes = () => busy() === orders && threads.statistics().finished - finishedBefore === orders * (STEPS.length - 1);
      hangUps.push(await placeUntilHangUp(running, { ...orderOf(id, 0), cpu_ms: { vendor: LONG } }, onlyComputes));
    }
    await Promise.all(hangUps.map((hangUp) => hangUp()));
  });
  const [a, b, ...more] = named(events, "X", "vendor: computing");
  if (a === undefined || b === undefined) throw new Error("two slices were expected");
  expect(more).toEqual([]);
  expect([a.args.order_id, b.args.order_id].sort()).toEqual(ids);
  // Two threads, two tracks, and both at work at the same time.
  expect(a.tid).not.toBe(b.tid);
  expect([trackOf(a), trackOf(b)]).toEqual([`exclusive ${a.args.thread}`, `exclusive ${b.args.thread}`]);
  expect(Math.min(a.ts + a.dur, b.ts + b.dur)).toBeGreaterThan(Math.max(a.ts, b.ts));
  // Other steps of theirs did not compute.
  for (const event of named(events, "X", /: waiting$/)) expect(trackOf(event)).toMatch(/^shared /);
  // The client's hang-up is on the main thread's track, with an arrow to the step that it stopped.
  const hangUps = named(events, "i", "cancel: client_disconnected");
  expect(hangUps.map(trackOf)).toEqual(["main", "main"]);
  const arrows = named(events, "f", "cancel");
  expect(arrows.map((end) => sliceAround(events, end)).sort((x, y) => (x?.tid ?? 0) - (y?.tid ?? 0))).toEqual(
    [a, b].sort((x, y) => x.tid - y.tid),
  );
});

test("a cancel is an arrow from the failed step to each that it stopped, with the microseconds that took", async () => {
  const id = newId("fails");
  const { events } = await traceOf(running, async () => {
    const order = { order_id: id, amount: 1, fail_step: "payment", delay_ms: { ...perStep(() => LONG), payment: 30 } };
    expect((await postOrder(running.port, order)).status).toBe(400);
  });
  const [failed] = named(events, "X", "payment: waiting");
  expect(failed?.args).toMatchObject({ order_id: id, attempt: 1, status: "failed", detail: "payment_declined" });
  const siblings = STEPS.filter((step) => step !== "payment");
  const begins = named(events, "s", "cancel");
  const ends = named(events, "f", "cancel");
  expect([begins.length, ends.length]).toEqual([siblings.length, siblings.length]);
  for (const begin of begins) expect(sliceAround(events, begin)).toEqual(failed);
  expect(ends.map((end) => sliceAround(events, end)?.name).sort()).toEqual(siblings.map((step) => `${step}: waiting`).sort());
  for (const end of ends) {
    const slice = sliceAround(events, end);
    expect(slice?.args).toMatchObject({ order_id: id, status: "canceled", detail: "sibling_failed" });
    expect(end.args).toEqual({
      order_id: id,
      attempt: 1,
      step: slice?.name.split(":")[0],
      cause: "sibling_failed",
      took_us: expect.any(Number),
    });
    // Cause and effect, within what rounding to whole microseconds does.
    const tookUs = (slice?.ts ?? 0) + (slice?.dur ?? 0) - ((failed?.ts ?? 0) + (failed?.dur ?? 0));
    expect(Math.abs(end.args.took_us - tookUs)).toBeLessThanOrEqual(2);
  }
  const [order] = named(events, "b", "order");
  expect(order?.args).toMatchObject({
    order_id: id,
    status: "payment_declined",
    canceled: "sibling_failed",
    request_id: expect.any(String),
  });
});

test("a step's wait for capacity is seen, and whether it came to run", async () => {
  await using running = await startService({ ...SETTINGS, COURIER_CAPACITY: "1" });
  const { threads, capacities } = running.service;
  const long = (id: string) => ({ order_id: id, amount: 1, delay_ms: { payment: 0, vendor: 0, courier: LONG } });
  const { events } = await traceOf(running, async () => {
    const first = await placeUntilHangUp(running, long("has it"), () => threads.statistics().running === 1);
    const second = await placeUntilHangUp(running, long("waits, gives up"), () => capacities.courier.waiting === 1);
    const third = postOrder(running.port, orderOf("waits, runs", 0));
    await eventually("the third to wait", () => capacities.courier.waiting === 2);
    await pause(5);
    await second();
    await first();
    expect((await third).status).toBe(200);
  });
  const waits = named(events, "b", "courier waits to start").map(({ args }) => [args.order_id, args.until]);
  expect(waits).toEqual(
    expect.arrayContaining([
      ["waits, gives up", "the end"],
      ["waits, runs", "its start"],
    ]),
  );
  const [began] = named(events, "X", "courier: waiting").filter(({ args }) => args.order_id === "waits, runs");
  const [ended] = named(events, "e", "courier waits to start").filter(({ ts }) => ts === began?.ts);
  expect(ended).toBeDefined();
});

test("a thread that is replaced meanwhile is seen, with the steps that were lost with it", async () => {
  await using running = await startService({ ...SETTINGS, THREADS: "1", CPU_THREADS: "1" });
  const { threads } = running.service;
  const [shared] = threads.statistics().threads.filter(({ pool }) => pool === "shared");
  const { events, trackOf } = await traceOf(running, async () => {
    const answer = postOrder(running.port, orderOf(newId("lost"), LONG));
    await eventually("the order to run", () => threads.statistics().running === STEPS.length);
    expect((await send(running.adminPort, { method: "POST", path: "/chaos/kill-thread" })).json.killed).toBe(shared?.id);
    expect((await answer).status).toBe(500);
  });
  const replaced = named(events, "i", "thread replaced: killed");
  expect(replaced.map(trackOf)).toEqual([`shared ${shared?.id}`]);
  expect(named(events, "i", /: lost$/).map((event) => [event.name, trackOf(event), event.args.status])).toEqual(
    STEPS.map((step) => [`${step}: lost`, `shared ${shared?.id}`, "lost"]),
  );
});

test("many orders at one time make no two slices that overlap", async () => {
  const ids = Array.from({ length: 200 }, () => newId("many"));
  const { events, otherData } = await traceOf(running, async () => {
    await Promise.all(ids.map((id, n) => postOrder(running.port, { ...orderOf(id, n % 40), ...(n % 7 === 0 && { fail_step: "vendor" }) })));
  });
  expect(otherData).toMatchObject({ orders: 200, orders_left_out: 0 });
  expect(idsOf(events).sort()).toEqual(ids.toSorted());
  expect(new Set(named(events, "X", /./).map(({ tid }) => tid)).size).toBeGreaterThan(2);
});

describe("GET /debug/trace", () => {
  test("records for the requested seconds, and is a file with a descriptive name", async () => {
    const { received, otherData } = checked(await send(running.adminPort, { path: "/debug/trace?seconds=1" }));
    expect(received.elapsedMs).toBeGreaterThanOrEqual(990);
    expect(otherData.seconds).toBeGreaterThanOrEqual(0.99);
    expect(received.headers["content-disposition"]).toMatch(/^attachment; filename="orders-trace-1s-\d{4}-\d\d-\d\dT[\d-]{8}Z\.json"$/);
    expect(received.headers["x-request-id"]).toBeDefined();
    expect(running.service.traces.isRecording).toBe(false);
  });

  test("refuses seconds that are none, and names the rule", async () => {
    const path = "/debug/trace";
    for (const seconds of ["0", "61", "-1", "1.5", "", "five", "1&seconds=2"]) {
      const { status, json } = await send(running.adminPort, { path: `${path}?seconds=${seconds}` });
      const error = { kind: "bad_request", message: "seconds: must be a whole number of seconds from 1 to 60" };
      expect([seconds, status, json.error]).toEqual([seconds, 400, error]);
    }
    const unknown = await send(running.adminPort, { path: `${path}?second=1` });
    expect([unknown.status, unknown.json.error.message]).toEqual([
      400,
      expect.stringMatching(/^second: is not a known parameter; known are .*seconds/),
    ]);
  });

  test("one at a time; a client that hangs up makes room and leaves nothing behind", async () => {
    const { traces } = running.service;
    await postOrder(running.port, orderOf(newId("warm"), 0));
    const before = timers();
    // Under the load of orders and without any, because a hang-up must be seen in both.
    for (const orders of [20, 0]) {
      const client = new AbortController();
      const answer = record(client.signal);
      await eventually("the recording", () => traces.isRecording);
      expect(timers()).toBeGreaterThan(before);
      const refused = await send(running.adminPort, { path: "/debug/trace" });
      expect([refused.status, refused.json.error, refused.headers["retry-after"]]).toEqual([
        503,
        { kind: "overloaded", message: "a trace is being recorded, and there is one at a time" },
        "1",
      ]);
      expect(refused.headers["content-disposition"]).toBeUndefined();
      await Promise.all(Array.from({ length: orders }, () => postOrder(running.port, orderOf(newId("meanwhile"), 0))));
      client.abort();
      expect(await answer).toBe("hung up");
      await eventually("room", () => !traces.isRecording);
    }
    await eventually("no timer to be left", () => timers() <= before);
    expect(running.logged.filter(({ level }) => level >= 40)).toEqual([]);
  });

  test("a service that stops ends the trace, whole", async () => {
    await using stopping = await startService(SETTINGS);
    const trace = send(stopping.adminPort, { path: "/debug/trace?seconds=60" });
    await eventually("the recording", () => stopping.service.traces.isRecording);
    const id = newId("before the stop");
    await postOrder(stopping.port, orderOf(id, 0));
    await stopping.stop();
    const { events } = checked(await trace);
    expect(idsOf(events)).toEqual([id]);
  });

  test("nobody records by HEAD or POST", async () => {
    for (const method of ["HEAD", "POST"]) {
      const { status, headers } = await send(running.adminPort, { method, path: "/debug/trace" });
      expect([method, status, headers.allow]).toEqual([method, 405, "GET"]);
    }
  });
});
