import { Agent } from "node:http";
import { afterEach, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { newId, orderOf, send } from "../support/http-client.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { startService, type TestService } from "../support/service.ts";

const FOR_EVER_MS = "80000000";
const ORDER = "POST /order HTTP/1.1\r\nHost: localhost\r\n";
const asOrder = (order: object) => {
  const body = JSON.stringify(order);
  return `${ORDER}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
};

let server: TestService;
afterEach(() => server.stop());

describe("HEADERS_TIMEOUT_MS", () => {
  test("ends a connection that sends nothing, half a line or half its headers, with 408", async () => {
    server = await startService({ HEADERS_TIMEOUT_MS: "100", REQUEST_TIMEOUT_MS: FOR_EVER_MS });
    const clients = [server.port, server.adminPort].flatMap((port) =>
      ["", "POST /ord", `${ORDER}Content-Le`].map((begun) => ({ port, begun })),
    );
    await Promise.all(
      clients.map(async ({ port, begun }) => {
        using slow = await RawConnection.open(port);
        await slow.write(begun);
        const answers = await slow.answersToTheEnd();
        expect(answers).toMatchObject([{ status: 408, headers: { connection: "close", "x-request-id": expect.stringMatching(/./) } }]);
        expect(JSON.parse(answers[0]?.body ?? "")).toMatchObject({ status: "error", error: { kind: "request_timeout" } });
      }),
    );
    expect(server.logged.filter(({ level }) => level >= 40)).toEqual([]);
  });

  test("leaves alone who is slow with the body, and who waits for an answer", async () => {
    server = await startService({ ORDER_TIMEOUT_MS: FOR_EVER_MS, HEADERS_TIMEOUT_MS: "2000", REQUEST_TIMEOUT_MS: FOR_EVER_MS });
    using waiting = await RawConnection.open(server.port);
    await waiting.write(asOrder(orderOf(newId("waits"), 4_000)));
    using slow = await RawConnection.open(server.port);
    const body = JSON.stringify(orderOf(newId("slow"), 0));
    await slow.write(`${ORDER}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body.slice(0, 5)}`);
    using silent = await RawConnection.open(server.port);
    // By then the others have been looked at, too.
    await silent.answersToTheEnd();
    await slow.write(body.slice(5));
    expect(await slow.until(/\}$/)).toMatch(/^HTTP\/1\.1 200 /);
    expect(await waiting.until(/\}$/)).toMatch(/^HTTP\/1\.1 200 /);
  });
});

test("REQUEST_TIMEOUT_MS ends a body that does not come with 408; it is no limit for the answer, and no second answer", async () => {
  server = await startService({ ORDER_TIMEOUT_MS: FOR_EVER_MS, REQUEST_TIMEOUT_MS: "1000" });
  const open = () => RawConnection.open(server.port);
  const slow = [
    "Content-Length: 100\r\nX-Request-Id: slow\r\n\r\n{",
    "Transfer-Encoding: chunked\r\nX-Request-Id: slow\r\n\r\n1\r\n{\r\n",
    "Content-Length: 100\r\nExpect: 100-continue\r\nX-Request-Id: slow\r\n\r\n",
  ].map(async (begun) => {
    using connection = await open();
    await connection.write(ORDER + begun);
    await eventually("the end", () => connection.closed, Boolean, 20_000);
    expect(connection.received.replace("HTTP/1.1 100 Continue\r\n\r\n", "")).toMatch(
      /^HTTP\/1\.1 408 [\s\S]*X-Request-Id: slow\r\n[\s\S]*"kind":"request_timeout"/,
    );
  });
  // A second request that is slow waits for the first one's answer.
  const second = async () => {
    using connection = await open();
    const id = newId("long");
    await connection.write(`${asOrder(orderOf(id, 3_000))}${ORDER}Content-Length: 5\r\n`);
    const answers = await connection.answersToTheEnd();
    expect(answers).toMatchObject([{ status: 200, body: expect.stringContaining(id) }, { status: 408 }]);
  };
  // Its client goes on with a body after the answer.
  const answered = async () => {
    using connection = await open();
    await connection.write("POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{");
    expect((await connection.answersToTheEnd()).map(({ status }) => status)).toEqual([404]);
  };
  await Promise.all([...slow, second(), answered()]);
  expect(server.service.orderService.inFlight).toBe(0);
});

describe("KEEP_ALIVE_TIMEOUT_MS", () => {
  test("is how long an idle connection stays open, and answers say so", async () => {
    server = await startService({ KEEP_ALIVE_TIMEOUT_MS: "1000" });
    using idle = await RawConnection.open(server.port);
    await idle.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect(await idle.until(/\}$/)).toMatch(/^Keep-Alive: timeout=1\r$/m);
    const sinceMs = performance.now();
    expect((await idle.answersToTheEnd()).map(({ status }) => status)).toEqual([200]);
    expect(performance.now() - sinceMs).toBeGreaterThan(990);
  });

  test("is longer than the 60 seconds of a balancer by default", async () => {
    server = await startService();
    for (const port of [server.port, server.adminPort]) {
      const agent = new Agent({ keepAlive: true });
      expect((await send(port, { path: "/nowhere", agent })).headers["keep-alive"]).toBe("timeout=65");
      agent.destroy();
    }
  });
});
