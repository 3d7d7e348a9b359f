import { Agent } from "node:http";
import { connect } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import express from "express";
import { expect, test } from "vitest";
import { sendJson } from "../../src/http/answers.ts";
import { type Listener, listen } from "../../src/http/listener.ts";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-client.ts";
import { RawConnection } from "../support/raw-connection.ts";

const NEVER = new AbortController().signal;
// More than the buffers of a connection hold on both sides.
const LARGE = Buffer.alloc(4_000 * 1024, " ");
const GET = "GET /answer HTTP/1.1\r\nHost: localhost\r\n\r\n";

async function startListener(): Promise<{ listener: Listener; answerLate: () => void; waiting: () => boolean }> {
  let late: (() => void) | undefined;
  const app = express();
  app.all("/answer", (_request, response) => sendJson(response, 200, "{}"));
  app.get("/late", (_request, response) => {
    late = () => sendJson(response, 200, "{}");
  });
  const listener = await listen({
    name: "PORT",
    host: "127.0.0.1",
    port: 0,
    app,
    allowedHosts: [],
    anyNameFromOutside: false,
    keepAliveTimeoutMs: 60_000,
    headersTimeoutMs: 60_000,
    requestTimeoutMs: 60_000,
    limits: { max: 100 },
    onFault(message, error) {
      throw new Error(message, { cause: error });
    },
  });
  return { listener, answerLate: () => late?.(), waiting: () => late !== undefined };
}

test("while connections are to end, each answer ends its own, also one to a request from before", async () => {
  const { listener, answerLate, waiting } = await startListener();
  const agent = new Agent({ keepAlive: true });
  expect((await send(listener.port, { path: "/answer", agent })).headers.connection).toBe("keep-alive");
  const before = send(listener.port, { path: "/late", agent });
  await eventually("the request to be there", waiting);
  const ended = listener.endConnections(NEVER);
  answerLate();
  expect(await before).toMatchObject({ status: 200, headers: { connection: "close" }, reused: true });
  expect(await send(listener.port, { path: "/answer", agent })).toMatchObject({
    status: 200,
    headers: { connection: "close" },
    reused: false,
  });
  await ended;
  await listener.close();
  agent.destroy();
});

test("while connections are to end, an answer that waits for no body is found by who sends all before it reads", async () => {
  const { listener } = await startListener();
  using sending = await RawConnection.open(listener.port);
  const ended = listener.endConnections(NEVER);
  sending.socket.pause();
  await sending.write(`POST /answer HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${LARGE.length}\r\n\r\n`);
  await sending.write(LARGE);
  sending.socket.resume();
  expect((await sending.answersToTheEnd()).map(({ status }) => status)).toEqual([200]);
  await ended;
  await listener.close();
});

test("a connection that was idle gets the answer to its next request before it ends", async () => {
  const { listener } = await startListener();
  using idle = await RawConnection.open(listener.port);
  await idle.write(GET);
  await idle.until(/\{\}$/);
  expect(idle.received).toMatch(/^Connection: keep-alive\r$/m);
  const ended = listener.endConnections(NEVER);
  await idle.write(GET);
  const [first, second] = await idle.answersToTheEnd();
  expect([first?.status, second?.status, second?.headers.connection]).toEqual([200, 200, "close"]);
  await ended;
  await listener.close();
});

test("in a hurry nobody waits for connections", async () => {
  const { listener } = await startListener();
  using idle = await RawConnection.open(listener.port);
  await idle.write(GET);
  await idle.until(/\{\}$/);
  const hurry = new AbortController();
  let over = false;
  const ended = listener.endConnections(hurry.signal).then(() => {
    over = true;
  });
  await nextTurn();
  expect(over).toBe(false);
  hurry.abort();
  await ended;
  await listener.close();
});

test("connections that wait in the kernel when a listener is closed are taken in and answered", async () => {
  const { listener } = await startListener();
  const answers = Array.from({ length: 50 }, () => {
    const socket = connect(listener.port, "127.0.0.1").setEncoding("latin1");
    socket.write(GET);
    return new Promise<string>((resolve, reject) => {
      let text = "";
      socket.on("data", (chunk) => (text += chunk)).once("error", reject);
      socket.once("end", () => resolve(text));
    });
  });
  // By then each has called the kernel, and this thread has had no time to accept one.
  await new Promise<void>((resolve) => process.nextTick(resolve));
  await Promise.all([listener.close(), ...answers]);
  for (const answer of await Promise.all(answers)) expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*^Connection: close\r$/m);
});

/** As if the machine had stopped: nothing of this thread runs, clients of the test included. */
function stall(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)), 0, 0, ms);
}

test("a request that arrives while this process is stalled is answered, though the time to close connections has passed", async () => {
  const { listener } = await startListener();
  using client = await RawConnection.open(listener.port);
  // Not idle, so it is not closed at once.
  await client.write(GET.slice(0, 5));
  const closed = listener.close();
  await eventually("the listener to take no more", () => isRefused(listener.port));
  void client.write(GET.slice(5));
  stall(1_200);
  expect(await client.answersToTheEnd()).toMatchObject([{ status: 200, headers: { connection: "close" } }]);
  await closed;
});

test("a connection that is accepted last is not closed before its request could arrive, and is where none comes", async () => {
  const { listener } = await startListener();
  const opening = Promise.all([RawConnection.open(listener.port), RawConnection.open(listener.port)]);
  // By then each has called the kernel, and this thread has had no time to accept one.
  await new Promise<void>((resolve) => process.nextTick(resolve));
  const closed = listener.close();
  const [client, silent] = await opening;
  await eventually("the listener to take no more", () => isRefused(listener.port));
  await client.write(GET);
  expect(await client.answersToTheEnd()).toMatchObject([{ status: 200, headers: { connection: "close" } }]);
  expect(await silent.answersToTheEnd()).toEqual([]);
  await closed;
});

async function isRefused(port: number): Promise<boolean> {
  const { code } = await send(port, { path: "/answer" }).then(
    () => ({ code: "" }),
    (error: NodeJS.ErrnoException) => error,
  );
  return code === "ECONNREFUSED";
}
