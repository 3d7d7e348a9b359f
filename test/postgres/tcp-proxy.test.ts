import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { Client } from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres/index.ts";
import { type Direction, TcpProxy } from "../support/tcp-proxy.ts";

// What a statement takes on a way that is not cut, many times over.
const NOT_ANSWERED_MS = 200;

let database: FreshDatabase;
let proxy: TcpProxy;
let direct: Client;
let far: Client;
let broken: string[];

beforeEach(async () => {
  database = await freshDatabase();
  proxy = await TcpProxy.start(Number(new URL(database.url).port));
  direct = new Client({ connectionString: database.url });
  far = new Client({ connectionString: proxy.through(database.url) });
  broken = [];
  far.on("error", ({ message }) => broken.push(message));
  await Promise.all([direct.connect(), far.connect()]);
  await direct.query("CREATE TABLE arrived (n int)");
});

afterEach(async () => {
  await proxy[Symbol.asyncDispose]();
  await direct.end();
  await database[Symbol.asyncDispose]();
});

async function rows(): Promise<number> {
  return (await direct.query("SELECT count(*)::int AS rows FROM arrived")).rows[0].rows;
}

test.each<{ what: string; cut: Direction[]; arriving: number }>([
  { what: "the way to the server", cut: ["to-server"], arriving: 0 },
  { what: "the way to the client", cut: ["to-client"], arriving: 1 },
  { what: "both ways", cut: [], arriving: 0 },
])(
  "with a cut of $what, of one statement $arriving arrives and none is answered, and it goes on after the healing",
  async ({ cut, arriving }) => {
    await far.query("INSERT INTO arrived VALUES (0)");
    proxy.cut(...cut);
    let isAnswered = false;
    const sent = far.query("INSERT INTO arrived VALUES (1)").then(() => (isAnswered = true));
    await eventually("the statements that arrive", rows, (seen) => seen === 1 + arriving);
    await pause(NOT_ANSWERED_MS);
    expect(isAnswered).toBe(false);
    expect(await rows()).toBe(1 + arriving);
    proxy.heal();
    await sent;
    expect(await rows()).toBe(2);
    expect(broken).toEqual([]);
    await far.end();
  },
);

test("the end of a connection is not heard through a cut, and heard after the healing", async () => {
  const sessions = async (): Promise<number> =>
    (await direct.query("SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database()")).rows[0].n;
  expect(await sessions()).toBe(2);
  proxy.cut("to-server");
  const gone = far.end();
  await pause(NOT_ANSWERED_MS);
  expect(await sessions()).toBe(2);
  proxy.heal();
  await gone;
  await eventually("one session is left", sessions, (seen) => seen === 1);
  await eventually("the proxy has no connection", () => proxy.connections === 0);
});

test("a connection begun while all is cut comes about after the healing", async () => {
  await using upstream = await Upstream.start();
  await using way = await TcpProxy.start(upstream.port);
  way.cut();
  const late = connect(way.port, "127.0.0.1");
  late.write("asked");
  await pause(NOT_ANSWERED_MS);
  expect(upstream.sockets).toHaveLength(0);
  way.heal();
  await eventually("what it sent arrives", () => upstream.received === "asked");
  late.destroy();
});

test("a client that breaks off is not heard through a cut, not even when the server writes to it", async () => {
  await using upstream = await Upstream.start();
  await using way = await TcpProxy.start(upstream.port);
  const client = connect(way.port, "127.0.0.1");
  await eventually("the connection", () => upstream.sockets.length === 1);
  way.cut("to-server");
  client.resetAndDestroy();
  upstream.sockets[0]?.write("answered");
  await pause(NOT_ANSWERED_MS);
  upstream.sockets[0]?.write("and more");
  await pause(NOT_ANSWERED_MS);
  expect(upstream.ends).toBe(0);
  way.heal();
  await eventually("the server sees the end", () => upstream.ends === 1);
});

test("a reset breaks what there is, not what comes", async () => {
  proxy.reset();
  await eventually("the client sees it", () => broken.length > 0);
  expect(broken[0]).toMatch(/ECONNRESET|terminated/);
  const next = new Client({ connectionString: proxy.through(database.url) });
  await next.connect();
  await next.query("INSERT INTO arrived VALUES (1)");
  expect(await rows()).toBe(1);
  await next.end();
});

test("without a server behind it a connection is broken, not held", async () => {
  await using empty = await TcpProxy.start(1);
  const client = new Client({ connectionString: empty.through(database.url) });
  await expect(client.connect()).rejects.toThrow(/ECONNRESET|terminated/);
  await eventually("the proxy has no connection", () => empty.connections === 0);
});

/** A server that keeps whatever comes. */
class Upstream implements AsyncDisposable {
  readonly sockets: Socket[] = [];
  received = "";
  ends = 0;
  readonly #server = createServer((socket) => {
    this.sockets.push(socket);
    socket.on("data", (bytes) => (this.received += bytes));
    socket.on("error", () => {});
    socket.on("close", () => this.ends++);
  });

  static async start(): Promise<Upstream> {
    const upstream = new Upstream();
    await new Promise<void>((resolve) => upstream.#server.listen(0, "127.0.0.1", resolve));
    return upstream;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}
