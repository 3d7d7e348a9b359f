import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { STEPS } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { newId, orderOf, send, threadsPage } from "../support/http-client.ts";
import { type RawAnswer, RawConnection } from "../support/raw-connection.ts";
import { startService, type TestService } from "../support/service.ts";

// Far longer than any test waits.
const FOR_EVER_MS = 300_000;

let server: TestService;
beforeAll(async () => {
  server = await startService({ ORDER_TIMEOUT_MS: String(FOR_EVER_MS) });
});
afterAll(() => server.stop());

const asPost = (headers: string, body = "") => `POST /order HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n${body}`;
const asOrder = (order: object) => {
  const body = JSON.stringify(order);
  return asPost(`Content-Length: ${Buffer.byteLength(body)}\r\n`, body);
};
const errorOf = ({ status, headers, body }: RawAnswer) => {
  expect(headers["content-type"]).toMatch(/^application\/json\b/);
  expect(headers["x-request-id"]).toMatch(/^[\x21-\x7e]+$/);
  expect(headers.connection).toBe("close");
  const json = JSON.parse(body);
  expect(Object.keys(json)).toEqual(["status", "error"]);
  return { status, kind: json.error.kind };
};

describe("what Node's parser refuses has the form of all answers:", () => {
  const chunked = "Transfer-Encoding: chunked\r\n";
  test.each([
    ["an unknown method", "BREW /order HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_request"],
    ["a length that is no number", asPost("Content-Length: many\r\n"), 400, "bad_request"],
    ["two lengths", asPost("Content-Length: 1\r\nContent-Length: 2\r\n", "xx"), 400, "bad_request"],
    ["a length and chunks", asPost(`Content-Length: 5\r\n${chunked}`, "0\r\n\r\n"), 400, "bad_request"],
    ["no HTTP at all", "\x16\x03\x01\x02\x00\x01", 400, "bad_request"],
    ["a header of 20 kB", `GET /healthz HTTP/1.1\r\nHost: x\r\nX: ${"a".repeat(20_000)}\r\n\r\n`, 431, "headers_too_large"],
    ["a header of 2 MB", `GET /healthz HTTP/1.1\r\nHost: x\r\nX: ${"a".repeat(2_000_000)}\r\n\r\n`, 431, "headers_too_large"],
    ["a chunk that is none", asPost(chunked, "zz\r\n"), 400, "bad_request"],
    ["a chunk that is none, after one", asPost(chunked, "2\r\n{}\r\nzz\r\n"), 400, "bad_request"],
    ["chunk extensions of 20 kB", asPost(chunked, `1;${"a".repeat(20_000)}\r\n`), 413, "payload_too_large"],
    ["an unknown Expect", asPost("Expect: 200-ok\r\nContent-Length: 2\r\n"), 417, "bad_request"],
  ])("%s", async (_what, bytes, status, kind) => {
    for (const port of [server.port, server.adminPort]) {
      using connection = await RawConnection.open(port);
      await connection.write(bytes);
      const [answer, ...more] = await connection.answersToTheEnd();
      // The admin listener has no route for an order and says so before it looks at its chunks.
      if (port === server.adminPort && answer?.status === 404) continue;
      expect(answer && errorOf(answer)).toEqual({ status, kind });
      expect(more).toEqual([]);
    }
    expect((await send(server.port, { path: "/healthz" })).status).toBe(200);
  });

  test("a request that ends in the middle", async () => {
    for (const begun of ["GET /healthz HT", asPost("Content-Length: 100\r\n", "{"), asPost(chunked, "5\r\n{")]) {
      using connection = await RawConnection.open(server.port);
      await connection.write(begun);
      connection.socket.end();
      const answers = await connection.answersToTheEnd();
      expect(answers.map(errorOf)).toEqual([{ status: 400, kind: "bad_request" }]);
    }
  });

  test("with the id of the request where one was read", async () => {
    using connection = await RawConnection.open(server.port);
    await connection.write(asPost(`X-Request-Id: mine\r\n${chunked}`, "zz\r\n"));
    expect((await connection.answersToTheEnd()).map(({ headers }) => headers["x-request-id"])).toEqual(["mine"]);
  });
});

describe("rubbish behind a good request", () => {
  test("and behind several is answered after the last, once, however much of it there is", async () => {
    const ids = [newId("several"), newId("several"), newId("several")];
    using connection = await RawConnection.open(server.port);
    // The second is ready long before the first.
    await connection.write(ids.map((id, n) => asOrder(orderOf(id, n === 0 ? 400 : 0))).join(""));
    for (let n = 0; n < 20; n++) await connection.write("rubbish\r\n\r\n".repeat(100));
    const answers = await connection.answersToTheEnd();
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 400]);
    expect(answers.slice(0, 3).map(({ body }) => JSON.parse(body).order_id)).toEqual(ids);
  });

  test("in the chunks of a second one is the second one's, after the answer to the first", async () => {
    const id = newId("first");
    using connection = await RawConnection.open(server.port);
    await connection.write(asOrder(orderOf(id, 300)) + asPost("Transfer-Encoding: chunked\r\nX-Request-Id: second\r\n", "zz\r\n"));
    const answers = await connection.answersToTheEnd();
    expect(answers.map(({ status }) => status)).toEqual([200, 400]);
    expect(JSON.parse(answers[0]?.body ?? "").order_id).toBe(id);
    expect(answers[1]?.headers["x-request-id"]).toBe("second");
  });

  test("in a body that nobody waited for is not answered twice", async () => {
    using connection = await RawConnection.open(server.port);
    await connection.write("POST /nowhere HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    await connection.until(/\}$/);
    await connection.write("zz\r\n");
    expect((await connection.answersToTheEnd()).map(({ status }) => status)).toEqual([404]);
  });

  test("does not hide that the client hangs up", async () => {
    using connection = await RawConnection.open(server.port);
    await connection.write(`${asOrder(orderOf(newId("left"), FOR_EVER_MS))}rubbish\r\n\r\n`);
    await eventually("the order running", async () => (await threadsPage(server.adminPort)).running === STEPS.length);
    connection.socket.end();
    await eventually("the order canceled", () => server.service.orderService.inFlight === 0);
  });
});

describe("CONNECT, which Node takes for the end of HTTP on a connection,", () => {
  const TUNNEL = "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: tunnel\r\n\r\n";

  test("is not allowed, and what comes behind it is not looked at", async () => {
    const started = server.service.threads.statistics().started;
    for (const port of [server.port, server.adminPort]) {
      using connection = await RawConnection.open(port);
      await connection.write(TUNNEL + asOrder(orderOf(newId("tunneled"), 0)));
      await connection.write(asOrder(orderOf(newId("tunneled"), 0)));
      const [answer, ...more] = await connection.answersToTheEnd();
      expect(answer && errorOf(answer)).toEqual({ status: 405, kind: "method_not_allowed" });
      expect(answer?.headers).toMatchObject({ "x-request-id": "tunnel", allow: "GET, HEAD, POST" });
      expect(more).toEqual([]);
    }
    expect(server.service.threads.statistics().started).toBe(started);
  });
});

describe("HTTP/1.0", () => {
  test("is answered, and the connection ends unless the client wants it to stay", async () => {
    for (const [header, count] of [
      ["", 1],
      ["Connection: keep-alive\r\n", 2],
    ] as const) {
      const body = JSON.stringify(orderOf(newId("old"), 0));
      using connection = await RawConnection.open(server.port);
      await connection.write(`POST /order HTTP/1.0\r\n${header}Content-Length: ${body.length}\r\n\r\n${body}GET /healthz HTTP/1.0\r\n\r\n`);
      const answers = await connection.answersToTheEnd();
      expect(answers.map(({ status }) => status)).toEqual(Array(count).fill(200));
      expect(JSON.parse(answers[0]?.body ?? "")).toMatchObject({ status: "ok" });
    }
  });

  test("has no chunks: the end of such a request is another one for a proxy that speaks it", async () => {
    const order = JSON.stringify(orderOf(newId("old"), 0));
    for (const port of [server.port, server.adminPort]) {
      using connection = await RawConnection.open(port);
      const head = "POST /order HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n";
      await connection.write(`${head}${order.length.toString(16)}\r\n${order}\r\n0\r\n\r\nGET /healthz HTTP/1.0\r\n\r\n`);
      expect((await connection.answersToTheEnd()).map(errorOf)).toEqual([{ status: 400, kind: "bad_request" }]);
    }
  });

  test("knows no Expect and gets no 100", async () => {
    using connection = await RawConnection.open(server.port);
    await connection.write("POST /order HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}");
    expect((await connection.answersToTheEnd()).map(({ status }) => status)).toEqual([400]);
  });
});

describe("an upgrade that is asked for", () => {
  test.each(["websocket", "h2c", "TLS/1.0"])(
    "to %s is not made: the answer is the usual one, and the connection stays",
    async (protocol) => {
      using connection = await RawConnection.open(server.port);
      const body = JSON.stringify(orderOf(newId("upgrade"), 0));
      await connection.write(asPost(`Connection: Upgrade\r\nUpgrade: ${protocol}\r\nContent-Length: ${body.length}\r\n`, body));
      expect(await connection.until(/\}$/)).toMatch(/^HTTP\/1\.1 200 /);
      await connection.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
      expect((await connection.answersToTheEnd()).map(({ status }) => status)).toEqual([200, 200]);
    },
  );

  test("by who knows that this is HTTP/2 is refused", async () => {
    using connection = await RawConnection.open(server.port);
    await connection.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    expect((await connection.answersToTheEnd()).map(errorOf)).toEqual([{ status: 400, kind: "bad_request" }]);
  });
});

test("no answer of these is an error of the server's", () => {
  expect(server.logged.filter(({ level }) => level >= 40)).toEqual([]);
});
