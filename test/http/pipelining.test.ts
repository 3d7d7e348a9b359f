import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { newId, orderOf, send } from "../support/http-client.ts";
import { openSockets } from "../support/open-sockets.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { startService, type TestService } from "../support/service.ts";

// One whose turn it is, and those in line behind it.
const MAX_AT_ONCE = 101;
const FOR_EVER_MS = 300_000;

let server: TestService;
beforeAll(async () => {
  server = await startService({ ORDER_TIMEOUT_MS: String(FOR_EVER_MS), COURIER_CAPACITY: "128" });
});
afterAll(() => server.stop());

const asOrder = (order: object) => {
  const body = JSON.stringify(order);
  return `POST /order HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
};
const SMALL = "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n";

test("a connection may have a hundred requests in line; the next one is refused, and ends it", async () => {
  const ids = Array.from({ length: MAX_AT_ONCE }, () => newId("line"));
  using connection = await RawConnection.open(server.port);
  // None of them is answered before the last has come.
  const orders = ids.map((id, n) => asOrder(orderOf(id, n === 0 ? 500 : 0)));
  const late = newId("late");
  await connection.write(orders.join("") + asOrder(orderOf(newId("refused"), 0)) + asOrder(orderOf(late, 0)));
  const answers = await connection.answersToTheEnd();
  expect(answers.map(({ status }) => status)).toEqual([...ids.map(() => 200), 503]);
  expect(answers.slice(0, -1).map(({ body }) => JSON.parse(body).order_id)).toEqual(ids);
  const refusal = answers.at(-1);
  expect(refusal?.headers).toMatchObject({ connection: "close", "retry-after": expect.stringMatching(/^\d+$/) });
  expect(JSON.parse(refusal?.body ?? "")).toMatchObject({ status: "error", error: { kind: "overloaded" } });
  expect((await send(server.port, { path: `/order/${late}` })).status).toBe(404);
});

test("there is room again behind those that were answered", async () => {
  using connection = await RawConnection.open(server.port);
  for (let round = 0; round < 4; round++) {
    const before = (connection.received.match(/HTTP\/1\.1 200/g) ?? []).length;
    const ids = Array.from({ length: 60 }, () => newId("room"));
    await connection.write(ids.map((id) => asOrder(orderOf(id, 5))).join(""));
    await eventually("their answers", () => (connection.received.match(/HTTP\/1\.1 200/g) ?? []).length === before + ids.length);
  }
});

test("a client that sends and never reads is cut off before its answers fill the memory, and others notice nothing", async () => {
  await eventually("no socket open", () => openSockets() === 0);
  using stalled = await RawConnection.open(server.port);
  stalled.socket.pause();
  const closed = once(stalled.socket, "close");
  await eventually("the server's side open", () => openSockets() === 2);
  // More than the buffers of both sides hold.
  for (let n = 0; n < 1_000 && !stalled.closed; n++) await Promise.race([stalled.write(SMALL.repeat(2_000)), closed]);
  await eventually("the server's side closed", () => openSockets() < 2);
  expect((await send(server.port, { path: "/healthz" })).status).toBe(200);
});

test("requests behind one that ends the connection are not collected", async () => {
  using flood = await RawConnection.open(server.port);
  const closed = once(flood.socket, "close");
  await flood.write("POST /order HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000\r\n\r\n");
  await flood.until(/\}$/);
  await flood.write(" ".repeat(20_000));
  let sent = 0;
  for (; sent < 2_000_000 && !flood.closed; sent += 2_000) await Promise.race([flood.write(SMALL.repeat(2_000)), closed]);
  expect(sent).toBeLessThan(2_000_000);
  expect(flood.received).toMatch(/^HTTP\/1\.1 413 /);
  expect((await send(server.port, { path: "/healthz" })).status).toBe(200);
});

const FORMS = [
  ["Content-Length: 100\r\n", '{"order_id":"half","amount":'],
  ["Transfer-Encoding: chunked\r\n", '50\r\n{"order_id":"half","amount":'],
] as const;
const WAYS = ["destroy", "resetAndDestroy", "end"] as const;

test("half of a body and a hang-up leave nothing behind, in whatever form both come", async () => {
  const started = server.service.threads.statistics().started;
  await eventually("no socket open", () => openSockets() === 0);
  const clients = await Promise.all(Array.from({ length: 18 }, () => RawConnection.open(server.port)));
  for (const [n, client] of clients.entries()) {
    const [headers, begun] = FORMS[n % FORMS.length] as (typeof FORMS)[number];
    await client.write(`POST /order HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n${headers}\r\n`);
    // The server says so when it has begun to read the body.
    await client.until(/100 Continue/);
    await client.write(begun);
  }
  expect(openSockets()).toBe(2 * clients.length);
  for (const [n, { socket }] of clients.entries()) socket[WAYS[Math.floor(n / FORMS.length) % WAYS.length] as (typeof WAYS)[number]]();
  await eventually("no socket open", () => openSockets() === 0);
  expect(server.service.threads.statistics()).toMatchObject({ running: 0, started });
});

test("none of this is an error of the server's", () => {
  expect(server.logged.filter(({ level }) => level >= 40)).toEqual([]);
});
