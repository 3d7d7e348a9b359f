import { EventEmitter, once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { CLOSE_REASONS, OpenConnections } from "../../src/http/open-connections.ts";
import { eventually } from "../support/eventually.ts";
import { Exposition } from "../support/exposition.ts";
import { newId, orderOf, postOrder, send } from "../support/http-client.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { startService, type TestService } from "../support/service.ts";

const FOR_EVER_MS = "80000000";
const PATIENT = { ORDER_TIMEOUT_MS: FOR_EVER_MS, HEADERS_TIMEOUT_MS: FOR_EVER_MS, REQUEST_TIMEOUT_MS: FOR_EVER_MS };
const HEALTH = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
const LARGE = "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
const ORDER = "POST /order HTTP/1.1\r\nHost: localhost\r\n";

let server: TestService;
afterEach(() => server.stop());

/** A client that has had an answer, and asks for nothing more. */
async function used(address?: string): Promise<RawConnection> {
  const connection = await RawConnection.open(server.port, address);
  await connection.write(HEALTH);
  await connection.until(/\}$/);
  return connection;
}

/** A client whose order runs until the test ends. */
async function ordering(address?: string): Promise<RawConnection> {
  const before = server.service.orderService.inFlight;
  const connection = await RawConnection.open(server.port, address);
  const body = JSON.stringify(orderOf(newId("runs"), 600_000));
  await connection.write(`${ORDER}Content-Length: ${body.length}\r\n\r\n${body}`);
  await eventually("the order runs", () => server.service.orderService.inFlight > before);
  return connection;
}

/** A client that asks for twice what the kernel keeps for it, and reads nothing. */
async function unreading(): Promise<RawConnection> {
  const connection = await RawConnection.open(server.port);
  connection.socket.pause();
  for (let n = 0; n < 4; n++) {
    await connection.write(LARGE.repeat(60));
    // On a busy machine more than a hundred are queued, and then this client is sent away for that.
    await pause(50);
  }
  return connection;
}

/** What `/metrics` says of connections, by reason, without those of which there was none. */
async function closedByReason(): Promise<Record<string, number>> {
  const seen = new Exposition((await send(server.adminPort, { path: "/metrics" })).text);
  const counts = CLOSE_REASONS.map((reason) => [reason, seen.value(`connections_closed_total{reason="${reason}"}`) ?? Number.NaN] as const);
  return Object.fromEntries(counts.filter(([, count]) => count !== 0));
}

const isClosed = (connection: RawConnection) => eventually("the end of a connection", () => connection.closed);
const stillOpen = (connections: readonly RawConnection[]) => connections.filter(({ closed }) => !closed).length;

describe("MAX_CONNECTIONS", () => {
  test("for a further one the one that has been idle longest goes, whatever its client leaves undone, and none with an order", async () => {
    server = await startService({ ...PATIENT, MAX_CONNECTIONS: "6" });
    const { connections } = server.service.publicListener;
    const next = async (begun: string) => {
      const before = connections.open;
      const connection = await RawConnection.open(server.port);
      await eventually("one more", () => connections.open > before);
      await connection.write(begun);
      return connection;
    };
    using running = await ordering();
    // It came first, and begins its request last.
    const body = await next("");
    const idle = [await next(""), await next("POST /ord"), await used(), body];
    await body.write(`${ORDER}Content-Length: 100\r\nExpect: 100-continue\r\n\r\n`);
    await body.until(/100 Continue/);
    idle.push(await used());
    const newer: RawConnection[] = [];
    for (const [n, longest] of idle.entries()) {
      expect([connections.open, stillOpen(idle)]).toEqual([6, idle.length - n]);
      newer.push(await used());
      await isClosed(longest);
    }
    expect([connections.open, stillOpen(idle), stillOpen(newer), running.closed]).toEqual([6, 0, 5, false]);
    expect(await closedByReason()).toEqual({ full: 5 });
    expect(server.logged.filter(({ level }) => level >= 40)[0]).toMatchObject({
      msg: "PORT: an idle connection was closed for a new one",
      reason: "6 are open",
      address: "127.0.0.1",
    });
  });

  test("where none is idle the new one is closed at once, and probes at the admin listener are answered all the same", async () => {
    server = await startService({ ...PATIENT, MAX_CONNECTIONS: "2" });
    using first = await ordering();
    using second = await ordering();
    for (let n = 0; n < 3; n++) {
      using further = await RawConnection.open(server.port);
      await isClosed(further);
      expect(further.received).toBe("");
    }
    for (const path of ["/healthz", "/readyz"]) expect((await send(server.adminPort, { path })).status).toBe(200);
    expect([first.closed, second.closed]).toEqual([false, false]);
    expect(await closedByReason()).toEqual({ refused: 3 });
    first.socket.destroy();
    await eventually(
      "room again",
      () => postOrder(server.port, orderOf(newId("room"), 0)).catch(() => undefined),
      (answer) => answer?.status === 200,
    );
  });
});

describe("MAX_CONNECTIONS_PER_ADDRESS", () => {
  test.skipIf(process.platform !== "linux")("is a limit for each address, and costs no other one a connection", async () => {
    server = await startService({ ...PATIENT, MAX_CONNECTIONS: "6", MAX_CONNECTIONS_PER_ADDRESS: "3" });
    using other = await used("127.0.0.2");
    using running = await ordering();
    const idle = [await used(), await used()];
    const newer = [await used(), await used()];
    for (const connection of idle) await isClosed(connection);
    expect([stillOpen(newer), other.closed, running.closed]).toEqual([2, false, false]);
    using more = await used("127.0.0.3");
    expect([server.service.publicListener.connections.open, more.closed, other.closed]).toEqual([5, false, false]);
    expect(await closedByReason()).toEqual({ address: 2 });
    expect(server.logged.find(({ level }) => level >= 40)).toMatchObject({ reason: "3 of its address are open", address: "127.0.0.1" });
  });

  test("counts an IPv6 /64 as one address", () => {
    const closed: string[] = [];
    const connections = new OpenConnections({ max: 10, maxPerAddress: 1 });
    const open = (remoteAddress: string) => {
      const destroy = () => void closed.push(remoteAddress);
      connections.opened(Object.assign(new EventEmitter(), { remoteAddress, destroy, writableLength: 0 }) as unknown as Socket);
    };
    for (const address of ["2001:db8::1", "2001:db8:0:1::1", "2001:db8::ffff:2", "::ffff:10.0.0.1", "10.0.0.2", "10.0.0.1"]) open(address);
    expect(closed).toEqual(["2001:db8::1", "::ffff:10.0.0.1"]);
    expect(connections.open).toBe(4);
  });
});

test("a client that does not take its answers in within REQUEST_TIMEOUT_MS is cut; one that reads, or that waits for its order, is not", async () => {
  server = await startService({ ...PATIENT, REQUEST_TIMEOUT_MS: "1000" });
  const { connections } = server.service.publicListener;
  using reading = await RawConnection.open(server.port);
  using waiting = await ordering();
  await reading.write(LARGE.repeat(100));
  // One after the other, so that those who come late are looked at as well.
  for (let cut = 1; cut <= 2; cut++) {
    await eventually("the cut", async () => {
      await unreading();
      await eventually("its end", () => connections.open === 2);
      return connections.closed.get("unread") === cut;
    });
  }
  await eventually("all answers", () => reading.received.match(/HTTP\/1\.1 200 OK/g)?.length === 100);
  expect([reading.closed, waiting.closed]).toEqual([false, false]);
  expect(await closedByReason()).toEqual({ unread: 2 });
});

test("after its last answer a connection is closed within seconds, also where its client keeps it open and sends nothing", async () => {
  server = await startService(PATIENT);
  const { connections } = server.service.publicListener;
  const kept = ["rubbish\r\n\r\n", `${ORDER}Content-Length: 100000\r\n\r\n`].map((bytes) => {
    const socket = connect({ port: server.port, host: "127.0.0.1", allowHalfOpen: true });
    socket.on("error", () => {}).write(bytes);
    return once(socket.resume(), "end").then(() => socket);
  });
  const sockets = await Promise.all(kept);
  await eventually("the end of both", () => connections.open === 0, Boolean, 20_000);
  for (const socket of sockets) socket.destroy();
});
