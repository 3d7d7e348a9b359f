import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { perStepSetting, STEP_TABLE, STEPS } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { newId, orderOf, postOrder, threadsPage } from "../support/http-client.ts";
import { startService } from "../support/service.ts";
import { Collector, type ReceivedSpan } from "./collector.ts";

const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const CLIENT_SPAN = "b7ad6b7169203331";
const KIND = { internal: 1, server: 2, client: 3 };
const FAILED = 2;
const NEVER_MS = "600000";

interface Call {
  readonly path: string;
  readonly traceparent: string | undefined;
}

type Answer = number | Promise<number>;

/** Providers whose answers the test gives, by path; a call that is not mentioned is answered with 200. */
async function startProviders(answers: Readonly<Record<string, (calls: readonly Call[]) => Answer>>) {
  const calls: Call[] = [];
  const server = createServer(async (request: IncomingMessage, response) => {
    request.resume();
    const path = request.url ?? "";
    calls.push({ path, traceparent: request.headers.traceparent as string | undefined });
    const status = await (answers[path]?.(calls) ?? 200);
    response.writeHead(status).end("{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { calls, settings: { ...perStepSetting("URL", () => url) } };
}

/** Seen once, so that what is missing says so. */
function named(spans: readonly ReceivedSpan[], name: string): ReceivedSpan {
  const found = spans.filter((span) => span.name === name);
  expect([name, found.length]).toEqual([name, 1]);
  return found[0] as ReceivedSpan;
}

test("a failed order is one trace, from the client's span to the providers' calls, with spans on the right threads", async () => {
  await using collector = await Collector.start();
  const { calls, settings } = await startProviders({
    // Declined only once every provider has been called; the vendor never answers.
    "/payments": (seen) => eventually("a call of every step", () => seen.length === STEPS.length).then(() => 402),
    "/orders": () => new Promise<number>(() => {}),
  });
  await using server = await startService({
    ...settings,
    THREADS: "2",
    ORDER_TIMEOUT_MS: NEVER_MS,
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
  });
  const sharedThreads = (await threadsPage(server.adminPort)).threads.filter(({ pool }) => pool === "shared").map(({ id }) => id);
  const orderId = newId("declined");
  const beforeMs = Date.now();
  const headers = { traceparent: `00-${TRACE_ID}-${CLIENT_SPAN}-01`, "x-request-id": "asked-by-a-test" };
  expect((await postOrder(server.port, { order_id: orderId, amount: 1 }, { headers })).json.error.kind).toBe("payment_declined");
  const afterMs = Date.now();

  // The order, its steps, all but the payment compensated, and a call for each of these.
  const spanCount = 1 + 2 * STEPS.length + 2 * (STEPS.length - 1);
  const spans = await eventually(
    "all spans of the order",
    () => collector.of(TRACE_ID),
    (found) => found.length === spanCount,
  );
  expect(collector.spans.length).toBe(spanCount);
  expect(collector.resources[0]?.["service.name"]).toBe("order-pipeline");

  const order = named(spans, "POST /order");
  expect(order).toMatchObject({ kind: KIND.server, parentSpanId: CLIENT_SPAN, status: { code: FAILED, message: "payment_declined" } });
  expect(order.attributes).toMatchObject({
    "order.id": orderId,
    "order.attempt": 1,
    "order.status": "error",
    "error.type": "payment_declined",
    "cancel.cause": "sibling_failed",
    "request.id": "asked-by-a-test",
  });
  expect(order.events).toEqual([{ name: "cancel", atMs: expect.any(Number), attributes: { "cancel.cause": "sibling_failed" } }]);
  // A clock that is read on two threads and moved to the time of day may be off by a little.
  expect(order.startMs).toBeGreaterThan(beforeMs - 1_000);
  expect(order.endMs).toBeLessThan(afterMs + 1_000);

  const line = server.logged.find(({ msg, order_id }) => msg === "order ended" && order_id === orderId);
  const reports = line?.steps as { name: string; thread: number }[];
  for (const name of STEPS) {
    const { perform, compensate } = STEP_TABLE[name];
    for (const [step, call, action] of [
      [name, `/${perform.path}`, "perform"],
      [`compensate ${name}`, `/${compensate.path}`, "compensate"],
    ] as const) {
      if (step === "compensate payment") continue;
      const stepSpan = named(spans, step);
      const callSpan = named(spans, `POST ${call}`);
      expect(stepSpan).toMatchObject({ kind: KIND.internal, parentSpanId: order.spanId });
      expect(stepSpan.attributes).toMatchObject({ "step.name": name, "step.action": action, "order.id": orderId });
      expect(callSpan).toMatchObject({ kind: KIND.client, parentSpanId: stepSpan.spanId });
      expect(callSpan.attributes["server.address"]).toBe("127.0.0.1");
      // Both were made on the thread that ran the step.
      expect(sharedThreads).toContain(stepSpan.attributes["thread.id"]);
      expect(callSpan.attributes["thread.id"]).toBe(stepSpan.attributes["thread.id"]);
      if (action === "perform") expect(stepSpan.attributes["thread.id"]).toBe(reports.find((report) => report.name === name)?.thread);
      // What the provider got names that very span as its parent.
      expect(calls.filter(({ path: called }) => called === call)).toEqual([
        { path: call, traceparent: `00-${TRACE_ID}-${callSpan.spanId}-01` },
      ]);
      for (const [inner, outer] of [
        [callSpan, stepSpan],
        [stepSpan, order],
      ] as const) {
        expect(inner.startMs).toBeGreaterThanOrEqual(outer.startMs - 0.01);
        expect(inner.endMs).toBeLessThanOrEqual(outer.endMs + 0.01);
      }
    }
  }
  expect(named(spans, "payment")).toMatchObject({
    attributes: { "step.status": "failed", "error.type": "payment_declined" },
    status: { code: FAILED, message: "payment_declined" },
  });
  expect(named(spans, "POST /payments").attributes["http.response.status_code"]).toBe(402);
  for (const name of ["vendor", "POST /orders"]) {
    expect(named(spans, name)).toMatchObject({
      attributes: { "cancel.cause": "sibling_failed" },
      status: { code: FAILED, message: "canceled: sibling_failed" },
    });
  }
  const { endMs } = named(spans, "vendor");
  expect(named(spans, "vendor").events).toEqual([{ name: "stopped", atMs: endMs, attributes: { "cancel.cause": "sibling_failed" } }]);
  expect(named(spans, "compensate vendor")).toMatchObject({ attributes: { "step.status": "ok" }, status: { code: 0 } });
  // Ids are all different.
  expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spanCount);
  expect(line).toMatchObject({ trace_id: TRACE_ID });
});

test("without a traceparent an order is the root of a new trace, and one that is not sampled has no spans", async () => {
  await using collector = await Collector.start();
  const { calls, settings } = await startProviders({});
  await using server = await startService({ ...settings, THREADS: "1", OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint });
  const unsampled = `00-${TRACE_ID}-${CLIENT_SPAN}-00`;
  await postOrder(server.port, { order_id: newId("unsampled"), amount: 1 }, { headers: { traceparent: unsampled } });
  expect(calls.map(({ traceparent }) => traceparent)).toEqual(STEPS.map(() => unsampled));
  const orderId = newId("root");
  await postOrder(server.port, { order_id: orderId, amount: 1 });
  // Later than those of the unsampled one would have been.
  await eventually(
    "the spans of the order",
    () => collector.spans.length,
    (count) => count >= 1 + 2 * STEPS.length,
  );
  expect(collector.spans.length).toBe(1 + 2 * STEPS.length);
  const order = named(collector.spans, "POST /order");
  expect(order.parentSpanId).toBeUndefined();
  expect(order).toMatchObject({ status: { code: 0 }, attributes: { "order.id": orderId, "order.status": "ok" } });
  expect(new Set(collector.spans.map(({ traceId }) => traceId))).toEqual(new Set([order.traceId]));
  expect(order.traceId).not.toBe(TRACE_ID);
});

test("a step that waited for a courier until the deadline, and one whose thread was lost, have spans too", async () => {
  await using collector = await Collector.start();
  await using server = await startService({
    THREADS: "1",
    CPU_THREADS: "1",
    COURIER_CAPACITY: "1",
    ORDER_TIMEOUT_MS: "600000",
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
  });
  const holding = postOrder(server.port, orderOf(newId("holds"), 500_000));
  await eventually("the courier to be taken", () => server.service.capacities.courier.inUse === 1);
  const waits = newId("waits");
  const waiting = postOrder(server.port, { order_id: waits, amount: 1, fail_step: "payment", delay_ms: { payment: 0, vendor: 0 } });
  expect((await waiting).json.error.kind).toBe("payment_declined");
  const ofOrder = (id: string) => collector.spans.filter(({ attributes }) => attributes["order.id"] === id);
  const waited = await eventually(
    "the spans of the order that waited",
    () => ofOrder(waits),
    (spans) => spans.some(({ name }) => name === "courier") && spans.some(({ name }) => name === "POST /order"),
  );
  const courier = named(waited, "courier");
  expect(courier.attributes).toMatchObject({ "step.status": "canceled", "cancel.cause": "sibling_failed" });
  expect(courier.attributes["thread.id"]).toBeUndefined();

  await eventually("a thread to be killed", async () => server.service.threads.killThread() !== undefined);
  const lost = (await holding).json;
  expect(lost.error.kind).toBe("internal");
  const ended = await eventually(
    "the spans of the order whose thread is gone",
    () => ofOrder(lost.order_id),
    (spans) => spans.some(({ name }) => name === "POST /order"),
  );
  for (const step of STEPS) {
    const { attributes, parentSpanId, status } = named(ended, step);
    expect([attributes["step.status"], parentSpanId, status.message]).toEqual([
      "lost",
      named(ended, "POST /order").spanId,
      "thread ended: killed",
    ]);
  }
});

test("a compensation that is tried again later is a trace of its own", async () => {
  await using collector = await Collector.start();
  let tries = 0;
  const { settings } = await startProviders({ "/orders": () => 500, "/cancellations": () => (++tries === 1 ? 503 : 200) });
  await using server = await startService({ ...settings, THREADS: "1", OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint });
  const orderId = newId("compensated-later");
  await postOrder(server.port, { order_id: orderId, amount: 1 });
  const again = await eventually(
    "the spans of the second try",
    () => {
      const first = collector.spans.find(({ name }) => name === "POST /order");
      return collector.spans.filter(({ traceId }) => first !== undefined && traceId !== first.traceId);
    },
    (spans) => spans.length === 3,
  );
  const root = named(again, "compensation of vendor");
  expect(root).toMatchObject({
    parentSpanId: undefined,
    attributes: { "order.id": orderId, "compensation.tries": 1 },
    status: { code: 0 },
  });
  expect(named(again, "compensate vendor")).toMatchObject({ traceId: root.traceId, parentSpanId: root.spanId });
  expect(named(again, "POST /cancellations")).toMatchObject({
    traceId: root.traceId,
    parentSpanId: named(again, "compensate vendor").spanId,
  });
});
