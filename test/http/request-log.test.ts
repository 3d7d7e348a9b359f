import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { JournalUnavailable } from "../../src/orders/order-journal.ts";
import type { PlaceRequest } from "../../src/orders/order-service.ts";
import { eventually } from "../support/eventually.ts";
import { newId, orderOf, postOrder, send } from "../support/http-client.ts";
import { startService, type TestService } from "../support/service.ts";

let server: TestService;
beforeEach(async () => {
  server = await startService({ THREADS: "1", CPU_THREADS: "1" });
});
afterEach(() => server.stop());

const errors = () => server.logged.filter(({ level }) => level >= 50);

test("every order comes with the id of its request, the client's or a new one", async () => {
  const { orderService } = server.service;
  const place = orderService.place.bind(orderService);
  const seen: PlaceRequest[] = [];
  orderService.place = (request) => {
    seen.push(request);
    return place(request);
  };
  const given = await postOrder(server.port, orderOf(newId("id"), 0), { headers: { "x-request-id": "mine" } });
  expect(given).toMatchObject({ status: 200, headers: { "x-request-id": "mine" } });
  const made = await postOrder(server.port, orderOf(newId("id"), 0));
  expect(made.headers["x-request-id"]).toMatch(/^[0-9a-f]{32}$/);
  expect(seen.map(({ requestId }) => requestId)).toEqual(["mine", made.headers["x-request-id"]]);
});

test("a request that fails is logged with its id and its order's", async () => {
  server.service.orderService.place = () => Promise.reject(new Error("a bug"));
  const answer = await postOrder(server.port, orderOf("broken", 0), { headers: { "x-request-id": "mine" } });
  expect(answer).toMatchObject({ status: 500, json: { error: { kind: "internal", message: "internal error" } } });
  server.service.journal.find = () => Promise.reject(new Error("another bug"));
  const lookup = await send(server.port, { path: "/order/looked-up" });
  expect(lookup.status).toBe(500);
  expect(errors()).toMatchObject([
    { msg: "request failed", request_id: "mine", order_id: "broken", err: { message: "a bug" } },
    { msg: "request failed", request_id: lookup.headers["x-request-id"], order_id: "looked-up", err: { message: "another bug" } },
  ]);
});

test("many that fail alike are one line and a count; an expected fault has no stack", async () => {
  server.service.orderService.place = () => Promise.reject(new JournalUnavailable("the disk is full"));
  for (let n = 0; n < 50; n++) expect((await postOrder(server.port, orderOf(`broken-${n}`, 0))).status).toBe(500);
  await server.stop();
  // A line for each second that this took, and the count of the rest at the end.
  expect(errors().length).toBeLessThan(25);
  expect(errors().reduce((sum, { count = 1 }) => sum + Number(count), 0)).toBe(50);
  for (const line of errors()) {
    expect(line).toMatchObject({ msg: "request failed", reason: "the disk is full", order_id: expect.stringMatching(/^broken-/) });
    expect(line).not.toHaveProperty("err");
  }
});

test("what a step logs on its thread carries the id of the request as well", async () => {
  const provider = createServer((_, response) => response.writeHead(500).end());
  await new Promise<void>((resolve) => provider.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
  await using real = await startService({ COURIER_URL: url });
  const order = { order_id: newId("courier"), amount: 1 };
  const answer = await postOrder(real.port, order, { headers: { "x-request-id": "mine" } });
  expect(answer.json.error.kind).toBe("internal");
  const line = await eventually("the step's line", () => real.logged.find(({ msg }) => msg === "courier provider answered 500"), Boolean);
  expect(line).toMatchObject({ order_id: order.order_id, request_id: "mine", step: "courier" });
  provider.close();
  provider.closeAllConnections();
});
