import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { newId, orderOf, postOrder, send } from "../support/http-client.ts";
import { openSockets } from "../support/open-sockets.ts";
import { type RawAnswer, RawConnection } from "../support/raw-connection.ts";
import { startService, type TestService } from "../support/service.ts";

const LIMIT = 16 * 1024;
// Far more than the buffers of a connection hold on both sides, and what the server reads after its answer.
const GIGABYTES = 4 * 1024 ** 3;

let server: TestService;
beforeAll(async () => {
  server = await startService();
});
afterAll(() => server.stop());

const head = (headers: string) => `POST /order HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;
const asOrder = (order: object) => {
  const body = JSON.stringify(order);
  return head(`Content-Length: ${Buffer.byteLength(body)}\r\n`) + body;
};
const expectTooLarge = (answer: RawAnswer | undefined) => {
  expect(answer).toMatchObject({ status: 413, headers: { connection: "close", "content-type": expect.stringMatching(/json/) } });
  expect(answer?.headers["x-request-id"]).toMatch(/./);
  expect(JSON.parse(answer?.body ?? "")).toMatchObject({
    error: { kind: "payload_too_large", message: expect.stringContaining(`${LIMIT} bytes`) },
  });
};

test.each([
  ["which the client asked for", "POST /nowhere HTTP/1.1", "Connection: close\r\n", 404],
  ["as always in HTTP/1.0", "POST /nowhere HTTP/1.0", "", 404],
  ["with a file", "GET /docs HTTP/1.0", "", 200],
])(
  "an answer that waits for no body and ends its connection, %s, is found by who sends all before it reads",
  async (_why, line, headers, status) => {
    for (const kilobytes of [10, 4_000]) {
      using connection = await RawConnection.open(server.port);
      connection.socket.pause();
      const bytes = kilobytes * 1024;
      await connection.write(`${line}\r\nHost: localhost\r\n${headers}Content-Length: ${bytes}\r\n\r\n`);
      await connection.write(Buffer.alloc(bytes, " "));
      connection.socket.resume();
      expect((await connection.answersToTheEnd()).map((answer) => answer.status)).toEqual([status]);
    }
  },
);

test.each([
  ["that is too large", 413, head(`Content-Length: ${GIGABYTES}\r\n`)],
  ["that nobody waits for", 404, `POST /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${GIGABYTES}\r\n\r\n`],
])("a body %s is not read for ever", async (_which, status, request) => {
  using connection = await RawConnection.open(server.port);
  // It does not stop when the other side has ended, as others would.
  connection.socket.allowHalfOpen = true;
  await connection.write(request);
  const megabyte = Buffer.alloc(1024 * 1024);
  let sent = 0;
  while (!connection.closed && sent < GIGABYTES) {
    await connection.write(megabyte);
    sent += megabyte.length;
  }
  expect(connection.received).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  expect(sent).toBeLessThan(64 * megabyte.length);
});

describe("a body that is too large", () => {
  test.each([
    ["declared", `Content-Length: ${LIMIT + 1}\r\n`],
    ["declared, compressed", `Content-Encoding: gzip\r\nContent-Length: ${LIMIT + 1}\r\n`],
    ["declared, and it waits to be asked for", `Expect: 100-continue\r\nContent-Length: ${LIMIT + 1}\r\n`],
    ["declared, gigabytes", `Content-Length: ${GIGABYTES}\r\n`],
  ])("is refused before a byte of it has come: %s", async (_what, headers) => {
    using connection = await RawConnection.open(server.port);
    await connection.write(head(headers));
    const [answer, ...more] = await connection.answersToTheEnd();
    expectTooLarge(answer);
    expect(more).toEqual([]);
    expect(connection.received).not.toContain("100 Continue");
  });

  test("in chunks is refused as soon as it is", async () => {
    using connection = await RawConnection.open(server.port);
    await connection.write(head("Transfer-Encoding: chunked\r\n"));
    await connection.write(`${LIMIT.toString(16)}\r\n${" ".repeat(LIMIT)}\r\n`);
    await connection.write("1\r\n \r\n");
    // The chunk of no bytes, which would be its end, never comes.
    const [answer, ...more] = await connection.answersToTheEnd();
    expectTooLarge(answer);
    expect(more).toEqual([]);
  });

  test("does not reset the connection under a client that sends it all before it reads", async () => {
    for (const kilobytes of [100, 1_000, 4_000]) {
      using connection = await RawConnection.open(server.port);
      connection.socket.pause();
      const bytes = kilobytes * 1024;
      await connection.write(head(`Content-Length: ${bytes}\r\n`));
      await connection.write(Buffer.alloc(bytes, " "));
      connection.socket.resume();
      expectTooLarge((await connection.answersToTheEnd())[0]);
    }
  });

  test("takes no order with it that comes behind", async () => {
    const before = server.service.threads.statistics().started;
    using connection = await RawConnection.open(server.port);
    const late = newId("late");
    await connection.write(head(`Content-Length: ${LIMIT + 1}\r\n`) + " ".repeat(LIMIT + 1) + asOrder(orderOf(late, 0)));
    const answers = await connection.answersToTheEnd();
    expect(answers.map(({ status }) => status)).toEqual([413]);
    expect((await send(server.port, { path: `/order/${late}` })).status).toBe(404);
    expect(server.service.threads.statistics().started).toBe(before);
  });

  test("leaves the order before it its answer", async () => {
    const id = newId("before");
    using connection = await RawConnection.open(server.port);
    await connection.write(asOrder(orderOf(id, 300)) + head(`Content-Length: ${LIMIT + 1}\r\n`));
    const [order, refusal, ...more] = await connection.answersToTheEnd();
    expect(order).toMatchObject({ status: 200 });
    expect(JSON.parse(order?.body ?? "")).toMatchObject({ order_id: id });
    expectTooLarge(refusal);
    expect(more).toEqual([]);
  });

  test("on the admin listener is refused the same way", async () => {
    using connection = await RawConnection.open(server.adminPort);
    await connection.write(`POST /chaos/stick-thread HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${LIMIT + 1}\r\n\r\n`);
    expect((await connection.answersToTheEnd()).map(({ status }) => status)).toEqual([413]);
  });

  test("is one byte more than the limit", async () => {
    const padded = (bytes: number) => JSON.stringify(orderOf(newId("padded"), 0)).padEnd(bytes);
    expect((await postOrder(server.port, padded(LIMIT))).status).toBe(200);
    expect((await postOrder(server.port, padded(LIMIT + 1))).status).toBe(413);
  });

  test("leaves no connection open behind it, whatever its client does", async () => {
    await eventually("no socket open", () => openSockets() === 0);
    // One that neither reads nor ends its side.
    using silent = await RawConnection.open(server.port);
    await silent.write(head(`Content-Length: ${LIMIT + 1}\r\n`));
    silent.socket.pause();
    silent.socket.allowHalfOpen = true;
    await eventually("the server's side closed", () => openSockets() === 1);
  });
});
