import { Agent } from "node:http";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { STEPS } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { newId, orderOf, postOrder, send, threadsPage } from "../support/http-client.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { startService, type TestService } from "../support/service.ts";

// Far longer than any test waits: an order that is gone was canceled, it did not just end.
const FOR_EVER_MS = 300_000;
const NEW_ID = /^[0-9a-f]{32}$/;

let server: TestService;
beforeAll(async () => {
  server = await startService({ ORDER_TIMEOUT_MS: String(FOR_EVER_MS) });
});
afterAll(() => server.stop());

const counters = () => threadsPage(server.adminPort);
const nothingRuns = () =>
  eventually("nothing running", counters, ({ running, started, finished, orders_in_flight }) => {
    return running === 0 && started === finished && orders_in_flight === 0;
  });
const asPost = (headers: string, body = "") => `POST /order HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n${body}`;
const withLength = (body: string) => asPost(`Content-Length: ${Buffer.byteLength(body)}\r\n`, body);

describe("routes", () => {
  const notFound = { status: 404, kind: "not_found" };
  test.each([
    ["GET", "/"],
    ["POST", "/"],
    ["POST", "/orders"],
    ["GET", "/order/a/b"],
    ["DELETE", "/nowhere"],
    ["GET", "/healthz/x"],
    ["GET", "//healthz"],
    ["OPTIONS", "*"],
    ["GET", "/debug/threads"],
    ["GET", "/metrics"],
  ])("%s %s is none", async (method, path) => {
    const answer = await send(server.port, { method, path });
    expect({ status: answer.status, kind: answer.json.error.kind }).toEqual(notFound);
    expect(answer.json).toEqual({ status: "error", error: { kind: "not_found", message: `no route ${method} ${path}` } });
  });

  test.each(["/%", "/%zz", "/order/%zz", "/order/%c3%28", "/healthz%00", "/%2e%2e/%2e%2e/etc/passwd", "/../package.json"])(
    "%s, whatever it means, is the client's mistake",
    async (path) => {
      const answer = await send(server.port, { path });
      expect([400, 404]).toContain(answer.status);
      expect(["bad_request", "not_found"]).toContain(answer.json.error.kind);
    },
  );

  test.each([
    ...["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"].map((method) => [method, "/order", "POST"] as const),
    ...["POST", "PUT", "DELETE", "OPTIONS"].flatMap((method) => [
      [method, "/healthz", "GET, HEAD"] as const,
      [method, "/readyz", "GET, HEAD"] as const,
    ]),
  ])("%s %s is not allowed, and the answer says what is", async (method, path, allow) => {
    const answer = await send(server.port, { method, path });
    expect(answer.status).toBe(405);
    expect(answer.headers.allow).toBe(allow);
    if (method === "HEAD") return expect(answer.text).toBe("");
    expect(answer.json).toMatchObject({ status: "error", error: { kind: "method_not_allowed" } });
  });

  test.each([
    ["/healthz", "ok"],
    ["/readyz", "ready"],
  ])("GET and HEAD %s", async (path, status) => {
    const got = await send(server.port, { path });
    expect(got).toMatchObject({ status: 200, json: { status } });
    const head = await send(server.port, { method: "HEAD", path });
    expect(head).toMatchObject({ status: 200, text: "" });
    expect(head.headers["content-length"]).toBe(got.headers["content-length"]);
  });

  test("no header names the server software", async () => {
    for (const answer of [await send(server.port, { path: "/healthz" }), await send(server.port, { path: "/nowhere" })]) {
      expect(Object.keys(answer.headers)).not.toContain("x-powered-by");
      expect(Object.keys(answer.headers)).not.toContain("server");
    }
  });
});

describe("X-Request-Id", () => {
  const idFor = async (given: string | undefined, path = "/healthz") =>
    (await send(server.port, { path, headers: given === undefined ? {} : { "x-request-id": given } })).headers["x-request-id"];

  test.each(["a", "req-1", "!~{}\"'", "x".repeat(128)])("%s comes back", async (id) => {
    expect(await idFor(id)).toBe(id);
    expect(await idFor(id, "/nowhere")).toBe(id);
    expect((await postOrder(server.port, "no JSON", { headers: { "x-request-id": id } })).headers["x-request-id"]).toBe(id);
    for (const path of ["/order", "/order/%zz", "/order/unknown", "/nowhere"]) expect(await idFor(id, path)).toBe(id);
    expect((await postOrder(server.port, orderOf(newId("id"), 0), { headers: { "x-request-id": id } })).headers["x-request-id"]).toBe(id);
  });

  test.each(["x".repeat(129), "two words", "tab\there", "caf\u00e9", ""])("%j is replaced", async (id) => {
    expect(await idFor(id)).toMatch(NEW_ID);
  });

  test("given twice is replaced", async () => {
    using connection = await RawConnection.open(server.port);
    await connection.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: a\r\nX-Request-Id: b\r\n\r\n");
    const text = await connection.until(/\r\n\r\n\{.*\}/);
    expect(/^X-Request-Id: (.*)\r$/im.exec(text)?.[1]).toMatch(NEW_ID);
  });
});

describe("bodies", () => {
  test("in chunks are put together", async () => {
    using connection = await RawConnection.open(server.port);
    await connection.write(asPost("Transfer-Encoding: chunked\r\n"));
    for (const byte of Buffer.from(JSON.stringify(orderOf("chünked", 0)))) {
      await connection.write(Buffer.concat([Buffer.from("1\r\n"), Buffer.of(byte), Buffer.from("\r\n")]));
    }
    await connection.write("0\r\n\r\n");
    expect(await connection.until(/\r\n\r\n\{.*\}/)).toMatch(/^HTTP\/1\.1 200 /);
  });

  test.each(["gzip", "deflate", "br", "gzip, gzip", "compress"])(
    "compressed with %s are refused, which the answer names",
    async (encoding) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      const headers = { "content-encoding": encoding };
      const refused = await postOrder(server.port, gzipSync(JSON.stringify(orderOf(newId("compressed"), 0))), { agent, headers });
      const message = "Content-Encoding: must be identity: bodies are not compressed";
      expect(refused).toMatchObject({ status: 400, json: { status: "error", error: { kind: "bad_request", message } } });
      // The body that nobody read is not taken for the next request.
      expect(
        await postOrder(server.port, orderOf(newId("plain"), 0), { agent, headers: { "content-encoding": "Identity" } }),
      ).toMatchObject({
        status: 200,
        reused: true,
      });
      agent.destroy();
    },
  );

  test.each(["application/json", "application/x-www-form-urlencoded", "text/plain; charset=latin1", "multipart/form-data", "rubbish"])(
    "are JSON whatever the Content-Type says: %s",
    async (type) => {
      const id = newId("tüp");
      const answer = await postOrder(server.port, JSON.stringify(orderOf(id, 0)), { headers: { "content-type": type } });
      expect(answer).toMatchObject({ status: 200, json: { order_id: id } });
    },
  );
});

test("a body that breaks a rule reaches no step", async () => {
  const before = await counters();
  for (const body of ["", "{}", "null", JSON.stringify({ ...orderOf("x", 0), amount: 1.5 })]) {
    expect((await postOrder(server.port, body)).status).toBe(400);
  }
  expect((await counters()).started).toBe(before.started);
});

test("connections are kept and used again, after refusals too", async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (const [body, status, reused] of [
    [orderOf("k1", 0), 200, false],
    ["{}", 400, true],
    [orderOf("k2", 0), 200, true],
  ] as const) {
    expect(await postOrder(server.port, body, { agent })).toMatchObject({ status, reused });
  }
  agent.destroy();
});

describe("a client that hangs up", () => {
  test.each(["destroy", "resetAndDestroy", "end"] as const)(
    "(%s) cancels its order, no further one that it had sent begins, and nobody else notices",
    async (how) => {
      const before = await nothingRuns();
      using leaving = await RawConnection.open(server.port);
      await leaving.write([1, 2].map((n) => withLength(JSON.stringify(orderOf(`${how}-${n}`, FOR_EVER_MS)))).join(""));
      const staying = postOrder(server.port, orderOf(newId("staying"), 500));
      const during = await eventually("the steps running", counters, (page) => page.running === 2 * STEPS.length);
      expect(during).toMatchObject({ orders_in_flight: 2, started: before.started + 2 * STEPS.length, finished: before.finished });

      leaving.socket[how]();
      expect(await staying).toMatchObject({ status: 200, json: { status: "ok" } });
      expect(await nothingRuns()).toMatchObject({
        started: before.started + 2 * STEPS.length,
        finished: before.finished + 2 * STEPS.length,
        replaced: 0,
      });
      expect(leaving.received).toBe("");
      expect((await send(server.port, { path: `/order/${how}-2` })).status).toBe(404);
    },
  );

  test("while it waits for a courier cancels its order too", async () => {
    await using busy = await startService({ COURIER_CAPACITY: "1", ORDER_TIMEOUT_MS: String(FOR_EVER_MS) });
    using first = await RawConnection.open(busy.port);
    using second = await RawConnection.open(busy.port);
    await first.write(withLength(JSON.stringify(orderOf("has-the-courier", FOR_EVER_MS))));
    await eventually("the courier taken", () => busy.service.capacities.courier.inUse === 1);
    await second.write(withLength(JSON.stringify(orderOf("waits", FOR_EVER_MS))));
    await eventually("an order waiting", () => busy.service.capacities.courier.waiting === 1);
    second.socket.destroy();
    await eventually("nobody waiting", () => busy.service.capacities.courier.waiting === 0);
    await eventually("one order left", () => busy.service.orderService.inFlight === 1);
    expect(busy.service.capacities.courier.inUse).toBe(1);
    first.socket.destroy();
    await eventually("no order left", () => busy.service.orderService.inFlight === 0);
    expect(busy.service.capacities.courier.inUse).toBe(0);
  });

  test("is no error of the server's", () => {
    expect(server.logged.filter(({ level }) => level >= 40)).toEqual([]);
  });
});
