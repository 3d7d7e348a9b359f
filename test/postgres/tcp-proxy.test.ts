import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { type Direction, TcpProxy } from "../support/tcp-proxy.ts";

// What a byte takes on a way that is not cut, many times over.
const NOT_ANSWERED_MS = 100;

/** A server that keeps what comes and sends it back. */
let server: ReturnType<typeof createServer>;
let sockets: Socket[];
let received: string;
let proxy: TcpProxy;
let client: Socket;
let answered: string;

/** Not `once`, for which a broken connection is a failure. */
const closeOf = (socket: Socket) => new Promise((resolve) => socket.once("close", resolve));

async function connected(): Promise<Socket> {
  const socket = connect(proxy.port, "127.0.0.1").on("error", () => {});
  await once(socket, "connect");
  return socket;
}

beforeEach(async () => {
  [sockets, received, answered] = [[], "", ""];
  server = createServer((socket) => {
    sockets.push(socket.on("error", () => {}));
    socket.on("data", (bytes) => {
      received += bytes;
      socket.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  proxy = await TcpProxy.start((server.address() as AddressInfo).port);
  client = (await connected()).on("data", (bytes) => (answered += bytes));
  client.write("a");
  await eventually("the first answer", () => answered === "a");
});

afterEach(async () => {
  client.destroy();
  await proxy[Symbol.asyncDispose]();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

test.each<{ what: string; cut: Direction[]; arrives: string }>([
  { what: "the way to the server", cut: ["to-server"], arrives: "a" },
  { what: "the way to the client", cut: ["to-client"], arrives: "ab" },
  { what: "both ways", cut: [], arrives: "a" },
])("with a cut of $what nothing passes there, and it goes on after the healing", async ({ cut, arrives }) => {
  proxy.cut(...cut);
  client.write("b");
  await eventually("what arrives", () => received === arrives);
  await pause(NOT_ANSWERED_MS);
  expect([received, answered]).toEqual([arrives, "a"]);
  proxy.heal();
  await eventually("the answer", () => answered === "ab");
  expect(received).toBe("ab");
});

test.each(["ends", "breaks off"])(
  "a client that %s is not heard through a cut, though the server writes to it, and after the healing it is",
  async (how) => {
    const closed = closeOf(sockets[0] as Socket);
    let isClosed = false;
    void closed.then(() => (isClosed = true));
    proxy.cut("to-server");
    if (how === "ends") client.end();
    else client.resetAndDestroy();
    for (let write = 0; write < 2; write++) {
      sockets[0]?.write("more");
      await pause(NOT_ANSWERED_MS);
    }
    expect(isClosed).toBe(false);
    proxy.heal();
    await closed;
    await eventually("the proxy has no connection", () => proxy.connections === 0);
  },
);

test("a connection begun while all is cut comes about after the healing", async () => {
  proxy.cut();
  const late = await connected();
  late.write("late");
  await pause(NOT_ANSWERED_MS);
  expect(sockets).toHaveLength(1);
  proxy.heal();
  await eventually("what it sent arrives", () => received === "alate");
  late.destroy();
});

test("a reset breaks what there is, not what comes; without a server behind it a connection is broken, not held", async () => {
  const broken = closeOf(client);
  proxy.reset();
  await broken;
  client = await connected();
  client.write("b");
  await eventually("it arrives", () => received === "ab");
  await using empty = await TcpProxy.start(1);
  await closeOf(connect(empty.port, "127.0.0.1").on("error", () => {}));
  await eventually("the proxy has no connection", () => empty.connections === 0);
});
