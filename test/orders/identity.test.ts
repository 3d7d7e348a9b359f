import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { STEPS } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { orderOf, postOrder, send } from "../support/http-client.ts";
import { startService, type TestService } from "../support/service.ts";
import { startWithProviders } from "./providers.ts";

const quick = (id: string, amount = 1) => ({ ...orderOf(id, 0), amount });
const failing = (id: string, amount = 1) => ({ ...quick(id, amount), fail_step: "vendor" });
// So long that all steps of an order are seen to run at one time, also where a busy machine starts them far apart.
const LONG_MS = 3_000;
const keyed = (key: string) => ({ headers: { "idempotency-key": key } });

let running: TestService;
let port: number;

beforeAll(async () => {
  running = await startService({ COURIER_CAPACITY: "128", ORDER_TIMEOUT_MS: "30000" });
  port = running.port;
});
afterAll(() => running.stop());

const stepsStarted = () => running.service.threads.statistics().started;
const stepsRunning = () => running.service.threads.statistics().running;

describe("an order's id", () => {
  test("a placed order sent again gets the stored answer and runs nothing", async () => {
    const first = await postOrder(port, quick("placed"));
    expect(first.status).toBe(200);
    expect(first.headers["idempotent-replayed"]).toBeUndefined();
    const before = stepsStarted();
    // The simulation fields are not content.
    const again = await postOrder(port, { order_id: "placed", amount: 1, fail_step: "payment" });
    expect(again).toMatchObject({ status: 200, text: first.text });
    expect(again.headers["idempotent-replayed"]).toBe("true");
    expect(stepsStarted()).toBe(before);
  });

  test("a placed order with other content is a conflict, and runs nothing", async () => {
    await postOrder(port, quick("placed at 1"));
    const before = stepsStarted();
    const other = await postOrder(port, quick("placed at 1", 2));
    expect(other).toMatchObject({ status: 409, json: { status: "error", error: { kind: "order_conflict" } } });
    expect(stepsStarted()).toBe(before);
  });

  test("an order that failed frees its id: sent again, with another amount too, it is a new attempt", async () => {
    expect(await postOrder(port, failing("second try"))).toMatchObject({ status: 503 });
    expect(await postOrder(port, quick("second try", 7))).toMatchObject({ status: 200 });
    const { json } = await send(port, { path: "/order/second%20try" });
    expect(json).toMatchObject({ order_id: "second try", amount: 7, status: "ok" });
    expect(json.attempts).toMatchObject([
      { attempt: 1, status: "error", error: { kind: "vendor_unavailable" } },
      { attempt: 2, status: "ok" },
    ]);
  });

  test("a hang-up cancels it only when nobody who waits for it is left", async () => {
    const before = stepsStarted();
    const [one, two] = [new AbortController(), new AbortController()];
    const gone = (controller: AbortController) =>
      postOrder(port, orderOf("shared", 60_000), { signal: controller.signal }).catch(() => "gone");
    const waiting = [gone(one), gone(two)];
    const running = async () => (await send(port, { path: "/order/shared" })).json?.status === "running";
    await eventually("the order to run", running);
    await eventually("its steps to run", stepsStarted, (count) => count === before + STEPS.length);
    one.abort();
    expect(await waiting[0]).toBe("gone");
    // The other one is still there: after a third has come and gone the order runs on.
    const three = new AbortController();
    const third = gone(three);
    three.abort();
    await third;
    expect(await running()).toBe(true);
    expect(stepsStarted()).toBe(before + STEPS.length);
    two.abort();
    await waiting[1];
    const view = await eventually(
      "the cancel",
      async () => (await send(port, { path: "/order/shared" })).json,
      ({ status }) => status === "error",
    );
    expect(view.error.kind).toBe("canceled");
    expect(view.steps.map(({ detail }: { detail: string }) => detail)).toEqual(STEPS.map(() => "client_disconnected"));
  });
});

describe("an Idempotency-Key", () => {
  test("the same key with the same body gets the stored answer, of a failure too, whatever the spacing and the quotes", async () => {
    const first = await postOrder(port, failing("keyed"), keyed("key-1"));
    const before = stepsStarted();
    const { order_id, amount, delay_ms, fail_step } = failing("keyed");
    const again = await postOrder(port, JSON.stringify({ fail_step, delay_ms, amount, order_id }, null, 2), keyed('"key-1"'));
    expect(again).toMatchObject({ status: 503, text: first.text });
    expect(again.headers["idempotent-replayed"]).toBe("true");
    expect(stepsStarted()).toBe(before);
  });

  test("an answer refused before any step ran is not stored", async () => {
    expect((await postOrder(port, { order_id: "refused" }, keyed("key-4"))).status).toBe(400);
    expect((await postOrder(port, quick("refused"), keyed("key-4"))).status).toBe(200);
  });

  test.each(["", "x".repeat(256), "a b", "caf\u00e9", '""'])("%j breaks the rule and is named", async (key) => {
    const before = stepsStarted();
    const { status, json } = await postOrder(port, quick("bad key"), keyed(key));
    expect(status).toBe(400);
    expect(json.error).toEqual({ kind: "bad_request", message: "Idempotency-Key: must be 1 to 255 visible ASCII characters" });
    expect(stepsStarted()).toBe(before);
  });
});

test("while an order runs, the same content or key waits for its answer, other content is a conflict and another body a mismatch", async () => {
  const failing = { ...orderOf("running", LONG_MS), fail_step: "courier" };
  const first = postOrder(port, failing, keyed("key-2"));
  await eventually("the order to run", stepsRunning, (count) => count === STEPS.length);
  const joining = [postOrder(port, quick("running")), postOrder(port, failing, keyed("key-3")), postOrder(port, failing, keyed("key-2"))];
  const conflict = { status: 409, json: { error: { kind: "order_conflict" } } };
  const mismatch = { status: 422, json: { error: { kind: "idempotency_mismatch" } } };
  expect(await postOrder(port, quick("running", 2))).toMatchObject(conflict);
  expect(await postOrder(port, quick("running"), keyed("key-2"))).toMatchObject(mismatch);
  // It still runs, so these did not wait for it.
  expect(stepsRunning()).toBe(STEPS.length);
  const { status, text, json } = await first;
  expect([status, json.steps[STEPS.indexOf("courier")].duration_ms >= LONG_MS - 10]).toEqual([503, true]);
  for (const answer of await Promise.all(joining)) expect(answer).toMatchObject({ status, text });
  // Who joined by its key gets the answer later, too.
  for (const key of ["key-2", "key-3"]) {
    const later = await postOrder(port, failing, keyed(key));
    expect(later).toMatchObject({ status, text });
    expect(later.headers["idempotent-replayed"]).toBe("true");
    expect(await postOrder(port, quick("another order"), keyed(key))).toMatchObject(mismatch);
  }
});

test("an order nobody has placed is not found", async () => {
  expect(await send(port, { path: "/order/nobody%27s" })).toMatchObject({ status: 404, json: { error: { kind: "not_found" } } });
});

test("with real providers 100 requests for one id at once are one run, one charge and 100 equal answers, and no fault is to be had", async () => {
  await using fixture = await startWithProviders({}, { rates: { slow: 1, slowMs: [100, 100] } });
  for (const fault of [{ fail_step: "payment" }, { delay_ms: { payment: 1 } }, { cpu_ms: { payment: 1 } }]) {
    const { status, json } = await postOrder(fixture.port, { order_id: "real", amount: 1, ...fault });
    expect([status, json.error.kind]).toEqual([400, "bad_request"]);
    expect(json.error.message).toContain(Object.keys(fault)[0]);
  }
  expect((await send(fixture.running.adminPort, { method: "POST", path: "/chaos/kill-thread" })).status).toBe(404);
  expect(fixture.standIn.connections.accepted).toBe(0);
  const order = { order_id: "one for all", amount: 1200 };
  const answers = await Promise.all(Array.from({ length: 100 }, () => postOrder(fixture.port, order)));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
  expect(fixture.standIn.ledger.snapshot().counts).toMatchObject({ charges: 1, acceptances: 1, assignments: 1, refunds: 0 });
  expect(fixture.running.service.threads.statistics().started).toBe(STEPS.length);
});
