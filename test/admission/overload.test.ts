import { afterEach, expect, test } from "vitest";
import { perStep, STEPS } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { Exposition } from "../support/exposition.ts";
import { newId, orderOf, postOrder, type Received, send } from "../support/http-client.ts";
import { startService, type TestService } from "../support/service.ts";

let running: TestService;
afterEach(() => running.stop());

async function expectNothingLeft(): Promise<void> {
  const { orderService, threads, capacities } = running.service;
  await eventually("the orders to end", () => orderService.inFlight === 0);
  const { running: steps, started, finished } = threads.statistics();
  expect([steps, started - finished]).toEqual([0, 0]);
  expect(threads.counters()).toMatchObject({ groups: 0, unsettled: 0, exclusivePermits: 0, exclusiveWaiting: 0 });
  for (const { inUse, waiting } of Object.values(capacities)) expect([inUse, waiting]).toEqual([0, 0]);
}

/** Sends them at a constant rate, whatever becomes of those before. */
async function openLoop(perSecond: number, count: number, order: (n: number) => object): Promise<Received[]> {
  const startMs = performance.now();
  const answers: Promise<Received>[] = [];
  while (answers.length < count) {
    const due = Math.min(count, Math.ceil(((performance.now() - startMs) / 1_000) * perSecond));
    while (answers.length < due) answers.push(postOrder(running.port, order(answers.length)));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return await Promise.all(answers);
}

const kindOf = ({ json }: Received): string => json.error?.kind ?? json.status;

test("at three times what the couriers can do few accepted orders fail, and the others have run no step", async () => {
  running = await startService();
  const answers = await openLoop(150, 300, (n) => ({ order_id: `courier-${n}`, amount: 1 }));
  const ok = answers.filter(({ status }) => status === 200).length;
  const refused = answers.filter((answer) => kindOf(answer) === "overloaded");
  const failed = answers.length - ok - refused.length;
  expect(ok).toBeGreaterThan(10);
  expect(refused.length).toBeGreaterThan(10);
  expect(failed).toBeLessThanOrEqual((ok + failed) / 10);
  for (const { status, headers, json } of refused) {
    expect([status, json.steps]).toEqual([503, undefined]);
    expect(headers["retry-after"]).toMatch(/^([1-9]|[12]\d|30)$/);
  }
  const metrics = new Exposition((await send(running.adminPort, { path: "/metrics" })).text);
  const refusedFor = (reason: string) => metrics.value(`orders_refused_total{reason="${reason}"}`) ?? Number.NaN;
  expect([refusedFor("deadline") + refusedFor("limit"), refusedFor("unavailable")]).toEqual([refused.length, 0]);
  await expectNothingLeft();
  await eventually("the limit to be wide again", () => running.service.admission.limit > 20);
  // Of a failed order some steps may have run, and some more to compensate them.
  const { started } = running.service.threads.statistics();
  expect(started).toBeGreaterThanOrEqual(STEPS.length * ok);
  expect(started).toBeLessThanOrEqual(STEPS.length * ok + 2 * STEPS.length * failed);
});

test("after computing orders were refused an idle service takes the next one, with more steps than it has threads", async () => {
  running = await startService({ CPU_THREADS: "1", ORDER_TIMEOUT_MS: "1000" });
  const place = async (cpu_ms: object) => kindOf(await postOrder(running.port, { ...orderOf(newId("computes"), 0), cpu_ms }));
  const [slow, quick] = [{ payment: 900 }, { payment: 1, vendor: 1, courier: 1 }];
  const { orderService, threads } = running.service;
  const idle = () => eventually("the service to be idle", () => orderService.inFlight === 0 && threads.counters().exclusivePermits === 0);
  // On a slow machine those before may have missed their deadline, and that says less of how long the next one takes.
  await eventually("a computing order to be refused", async () => {
    await place(slow);
    await idle();
    const holder = place(slow);
    await eventually("the thread to compute", () => threads.counters().exclusivePermits === 1);
    const kind = await place(slow);
    await holder;
    return kind === "overloaded";
  });
  for (let n = 0; n < 5; n++) {
    await idle();
    // On a slow machine it may miss its deadline.
    expect(await place(quick)).not.toBe("overloaded");
  }
});

test("an urgent order gets past those that wait for a courier", async () => {
  running = await startService({ COURIER_CAPACITY: "1", ORDER_TIMEOUT_MS: "60000" });
  const ended: string[] = [];
  const place = async (id: string, ms: number, priority?: string) => {
    const answer = await postOrder(running.port, orderOf(id, ms), { headers: priority === undefined ? {} : { priority } });
    ended.push(id);
    expect(answer.status).toBe(200);
  };
  const { courier } = running.service.capacities;
  const holder = place("holder", 700);
  await eventually("the courier to be busy", () => courier.inUse === 1);
  const orders = [holder];
  for (const [id, priority] of [
    ["late", "u=7"],
    ["usual", undefined],
    ["urgent", "u=0, i"],
  ] as const) {
    orders.push(place(id, 50, priority));
    await eventually(`${id} to wait`, () => courier.waiting === orders.length - 1);
  }
  await Promise.all(orders);
  expect(ended).toEqual(["holder", "urgent", "usual", "late"]);
  await expectNothingLeft();
});

test("a hopeless wait ends before its deadline while others wait, and its courier is not begun; the last one is tried", async () => {
  // Two places in line are admitted on a guess, for nobody has had a courier yet; then each takes almost as long as the deadline.
  running = await startService({ COURIER_CAPACITY: "1", ORDER_TIMEOUT_MS: "1600" });
  const ended: { readonly json: Received["json"] }[] = [];
  const place = async (id: string) => {
    const answer = await postOrder(running.port, { order_id: id, amount: 1, delay_ms: { ...perStep(() => 0), courier: 1_000 } });
    if (answer.status !== 200) ended.push({ json: answer.json });
  };
  await Promise.all(["first", "second", "third"].map(place));
  expect(ended).toHaveLength(2);
  for (const { json } of ended) {
    expect(json.error.kind).toBe("timeout");
    expect(json.steps[STEPS.indexOf("courier")]).toMatchObject({ name: "courier", status: "canceled", detail: "deadline" });
    expect(json.steps[0]).toMatchObject({ status: "ok", compensation: "done" });
  }
  // Its courier would come free at 1 s and take one more.
  expect(ended[0]?.json.steps[STEPS.indexOf("courier")].duration_ms).toBeLessThan(1_600);
  await expectNothingLeft();
  // The other steps of all three orders, two couriers, and what two orders had to compensate.
  const others = STEPS.length - 1;
  expect(running.service.threads.statistics().started).toBe(3 * others + 2 + 2 * others);
});
