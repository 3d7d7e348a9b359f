import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { newId, threadsPage } from "../support/http-client.ts";
import { startService } from "../support/service.ts";
import { Collector } from "./collector.ts";

const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const ORDER_SPAN = "b7ad6b7169203331";

test("a step that is canceled on its way to a thread has a span, on that thread", async () => {
  await using collector = await Collector.start();
  await using server = await startService({ THREADS: "1", CANCEL_GRACE_MS: "60000", OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint });
  const [shared] = (await threadsPage(server.adminPort)).threads.filter(({ pool }) => pool === "shared");
  const orderId = newId("on-its-way");
  await using group = server.service.threads.group();
  // Computes for as many milliseconds as its amount says, and hears nothing.
  group.run("stick", { orderId, amount: 500, attempt: 1 });
  group.run("vendor", { orderId, amount: 1, attempt: 1, traceparent: `00-${TRACE_ID}-${ORDER_SPAN}-01` });
  // Both have left in one message.
  await nextTurn();
  group.cancel("client_disconnected");
  expect((await group.join()).outcomes[1]).toMatchObject({ status: "canceled", started: false });
  await eventually("its span", () => collector.spans.length > 0);
  const [span] = collector.spans;
  expect(span).toMatchObject({ name: "vendor", traceId: TRACE_ID, parentSpanId: ORDER_SPAN, endMs: span?.startMs });
  expect(span?.attributes).toMatchObject({ "step.status": "canceled", "cancel.cause": "client_disconnected", "thread.id": shared?.id });
});
