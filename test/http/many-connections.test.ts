import { readdirSync } from "node:fs";
import { afterEach, expect, test } from "vitest";
import { comeAndGo } from "../../load/come-and-go.ts";
import { eventually } from "../support/eventually.ts";
import { newId, orderOf, postOrder, send, threadsPage } from "../support/http-client.ts";
import { openSockets } from "../support/open-sockets.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { startService, type TestService } from "../support/service.ts";

const FOR_EVER_MS = "80000000";
const SLOW = 400;
const ORDINARY = 32;
// Each way to begin with each way to end, fifty times.
const OPENED_AND_CLOSED = 1_200;

let server: TestService;
afterEach(() => server.stop());

const openFiles = () => (process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0);

/** What a slow client sends, a byte at a time: its headers, or a body behind headers that came at once. */
const slowRequest = (n: number): [atOnce: string, byByte: string] => {
  const body = JSON.stringify(orderOf(`slow-${n}`, 0));
  const head = `POST /order HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n`;
  return n % 2 === 0 ? ["", head + body] : [head, body];
};

test(`${SLOW} slow clients keep nobody from an answer, and get their own when they come to an end`, async () => {
  // At the end all orders come at one time. Where that is more than the machine can do by a deadline, some are refused or time out.
  const settings = { HEADERS_TIMEOUT_MS: FOR_EVER_MS, REQUEST_TIMEOUT_MS: FOR_EVER_MS, ORDER_TIMEOUT_MS: FOR_EVER_MS };
  server = await startService({ ...settings, COURIER_CAPACITY: "128" });
  const slow: { readonly connection: RawConnection; rest: string }[] = [];
  for (let n = 0; n < SLOW; n++) {
    // The admin listener has no limit to its connections.
    const connection = await RawConnection.open(n % 10 === 0 ? server.adminPort : server.port);
    const [atOnce, byByte] = slowRequest(n);
    if (atOnce !== "") await connection.write(atOnce);
    slow.push({ connection, rest: byByte });
  }
  const advance = () =>
    Promise.all(
      slow.map((client) => {
        const next = client.rest.slice(0, 1);
        client.rest = client.rest.slice(1);
        return client.connection.write(next);
      }),
    );
  for (let round = 0; round < 3; round++) {
    const slowBytes = advance();
    const answers = await Promise.all(Array.from({ length: ORDINARY }, () => postOrder(server.port, orderOf(newId("ordinary"), 0))));
    expect(answers.map(({ status }) => status)).toEqual(Array(ORDINARY).fill(200));
    expect((await send(server.adminPort, { path: "/debug/threads" })).status).toBe(200);
    await slowBytes;
  }
  // All of them were there all the time, and none has got anything.
  expect(openSockets()).toBeGreaterThanOrEqual(2 * SLOW);
  expect(slow.filter(({ connection }) => connection.closed || connection.received !== "")).toEqual([]);

  await Promise.all(slow.map(({ connection, rest }) => connection.write(rest)));
  for (const [n, { connection }] of slow.entries()) {
    const answer = await connection.until(/\}$/);
    expect(answer).toMatch(n % 10 === 0 ? /^HTTP\/1\.1 404 / : /^HTTP\/1\.1 200 /);
  }
  for (const { connection } of slow) connection.socket.destroy();
  await eventually("no socket open", () => openSockets() === 0);
  const page = await threadsPage(server.adminPort);
  expect(page).toMatchObject({ running: 0, orders_in_flight: 0 });
  expect(page.finished).toBe(page.started);
});

test(`${OPENED_AND_CLOSED} connections that come and go in all ways leave no file descriptor behind`, async () => {
  server = await startService({ HEADERS_TIMEOUT_MS: FOR_EVER_MS, REQUEST_TIMEOUT_MS: FOR_EVER_MS });
  const health = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const ways: readonly string[] = [
    "",
    "GET /heal",
    health,
    `${health}GET /`,
    "rubbish\r\n\r\n",
    "POST /order HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
  ];
  await send(server.port, { path: "/healthz" });
  await eventually("no socket open", () => openSockets() === 0);
  const before = openFiles();
  let most = 0;
  let next = 0;
  const client = async () => {
    while (next < OPENED_AND_CLOSED) {
      const n = next++;
      await comeAndGo(n % 10 === 0 ? server.adminPort : server.port, ways[n % ways.length] ?? "", n % 4);
      // To count takes as long as some connections.
      if (n % 50 === 0) most = Math.max(most, openFiles() - before);
    }
  };
  await Promise.all(Array.from({ length: 50 }, client));
  expect(most).toBeGreaterThan(process.platform === "linux" ? 0 : -1);
  await eventually("no socket open", () => openSockets() === 0);
  await eventually("no file open that was not before", () => openFiles() <= before);
  expect((await send(server.port, { path: "/healthz" })).status).toBe(200);
});
