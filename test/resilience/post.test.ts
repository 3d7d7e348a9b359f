import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { afterEach, describe, expect, test } from "vitest";
import { NotBegun, neverSent, type PostAnswer, postTo } from "../../src/resilience/post.ts";
import { CancelScope } from "../../src/threads/index.ts";
import { eventually } from "../support/eventually.ts";
import { cert, key } from "./certificate.ts";

const LIMITS = { maxBytes: 1_000 };
const HEADERS = { "content-type": "application/json", "x-own": "1" };

interface Arrived {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
  readonly socket: Socket;
}

/** Answers every request, whose body it has read, as it is told to. */
class Peer {
  readonly arrived: Arrived[] = [];
  readonly sockets = new Set<Socket>();
  respond: (response: ServerResponse) => void = (response) => void response.writeHead(204).end();
  readonly #server: Server;

  constructor(tls = false) {
    const serve = (request: IncomingMessage, response: ServerResponse) => void this.#serve(request, response);
    this.#server = tls ? createTlsServer({ key, cert }, serve) : createServer(serve);
    this.#server.on("connection", (socket) => {
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
    });
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return this;
  }

  url(scheme = "http"): URL {
    return new URL(`${scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}/a/b?c=d`);
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method, url, headers, socket } = request;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    this.arrived.push({ method, url, headers, socket, body: Buffer.concat(chunks).toString() });
    this.respond(response);
  }
}

const peers: Peer[] = [];
afterEach(async () => {
  await Promise.all(peers.splice(0).map((peer) => peer.close()));
});

async function newPeer(tls = false): Promise<Peer> {
  const peer = await new Peer(tls).listen();
  peers.push(peer);
  return peer;
}

function post(url: URL, scope = new CancelScope(), body: string | Uint8Array = "{}"): Promise<PostAnswer> {
  return postTo(url, LIMITS)({ headers: HEADERS, body, cancelable: scope });
}

test.each([
  ["text", '{"who":"é"}'],
  ["bytes", Buffer.from('{"who":"é"}')],
])("says what it is told to, the body as %s", async (_what, body) => {
  const peer = await newPeer();
  expect(await post(peer.url(), undefined, body)).toEqual({ status: 204, retryAfter: undefined });
  expect(peer.arrived).toMatchObject([{ method: "POST", url: "/a/b?c=d", body: '{"who":"é"}' }]);
  expect(peer.arrived[0]?.headers).toEqual({
    "content-type": "application/json",
    "x-own": "1",
    "content-length": "12",
    connection: "keep-alive",
    host: peer.url().host,
  });
});

test.each([200, 307, 410, 429, 503])("gives back status %i and what Retry-After says, and follows nothing", async (status) => {
  const peer = await newPeer();
  peer.respond = (response) => void response.writeHead(status, { "retry-after": " 7 ", location: "/elsewhere" }).end("why");
  expect(await post(peer.url())).toEqual({ status, retryAfter: "7" });
  expect(peer.arrived).toHaveLength(1);
});

test("uses a connection again, which a late cancel of the first call leaves alone", async () => {
  const peer = await newPeer();
  peer.respond = (response) => void response.end("a body");
  const first = new CancelScope();
  await post(peer.url(), first);
  const second = new CancelScope();
  await post(peer.url(), second);
  let silent = false;
  peer.respond = () => {
    silent = true;
  };
  const third = post(peer.url());
  await eventually("the third call is there", () => silent);
  first.cancel("deadline");
  second.cancel("deadline");
  expect(new Set(peer.arrived.map(({ socket }) => socket)).size).toBe(1);
  expect(peer.arrived[0]?.socket.destroyed).toBe(false);
  peer.arrived[2]?.socket.end("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n");
  expect((await third).status).toBe(201);
});

test("ends a connection that is idle before a server would that ends those idle for five seconds and does not say so", async () => {
  const made: Socket[] = [];
  const onSocket = (message: unknown) => void made.push((message as { readonly socket: Socket }).socket);
  subscribe("net.client.socket", onSocket);
  const peer = await newPeer();
  // Without the `Keep-Alive` that Node sends.
  peer.respond = ({ socket }) => void socket?.write("HTTP/1.1 204 No Content\r\n\r\n");
  await post(peer.url());
  unsubscribe("net.client.socket", onSocket);
  expect(made).toHaveLength(1);
  const own = made[0] as Socket;
  expect(own.destroyed).toBe(false);
  expect(own.timeout).toBeGreaterThan(0);
  expect(own.timeout).toBeLessThan(5_000);
});

test("leaves no listener on what cancels it, however it ends", async () => {
  const peer = await newPeer();
  const scope = new CancelScope();
  let most = 0;
  peer.respond = (response) => {
    most = scope.listenerCount;
    response.end("a body");
  };
  await post(peer.url(), scope);
  await eventually("nobody listens", () => scope.listenerCount === 0);
  peer.respond = (response) => void response.destroy();
  await expect(post(peer.url(), scope)).rejects.toMatchObject({ code: "ECONNRESET" });
  await eventually("nobody listens", () => scope.listenerCount === 0);
  expect(most).toBe(1);
});

test("canceled before it begins: sends nothing, on a connection that is there either", async () => {
  const peer = await newPeer();
  await post(peer.url());
  const scope = new CancelScope();
  scope.cancel("shutdown");
  await expect(post(peer.url(), scope)).rejects.toThrow("canceled");
  const later = new CancelScope();
  const sending = post(peer.url(), later);
  later.cancel("shutdown");
  await expect(sending).rejects.toThrow();
  // Whatever had been sent would have arrived before this.
  await post(peer.url());
  expect(peer.arrived).toHaveLength(2);
});

test.each(["http", "https"])("by %s what may not begin any more when a new connection is there sends nothing", async (scheme) => {
  const peer = await newPeer(scheme === "https");
  const trusted = getCACertificates();
  setDefaultCACertificates([...trusted, cert]);
  try {
    const request = { headers: HEADERS, body: "{}", cancelable: new CancelScope() };
    const send = (may: boolean) => postTo(peer.url(scheme), LIMITS)({ ...request, mayBegin: () => may });
    await expect(send(false)).rejects.toThrow(NotBegun);
    await eventually("its socket is closed", () => peer.sockets.size === 0);
    expect(peer.arrived).toEqual([]);
    expect((await send(true)).status).toBe(204);
    expect(peer.arrived).toHaveLength(1);
  } finally {
    setDefaultCACertificates(trusted);
  }
});

test("canceled while it waits: rejects, and the socket is closed", async () => {
  const peer = await newPeer();
  peer.respond = () => {};
  const scope = new CancelScope();
  const sending = post(peer.url(), scope);
  await eventually("it is there", () => peer.arrived.length === 1);
  scope.cancel("deadline");
  await expect(sending).rejects.toThrow("canceled");
  await eventually("its socket is closed", () => peer.sockets.size === 0);
});

describe("within the body of an answer the status was said", () => {
  test.each<[string, (peer: Peer, scope: CancelScope) => void]>([
    ["and a cancel changes nothing in it", (_peer, scope) => void scope.cancel("deadline")],
    ["and a closing changes nothing in it", (peer) => void peer.arrived[0]?.socket.destroy()],
    ["and a reset changes nothing in it", (peer) => void peer.arrived[0]?.socket.resetAndDestroy()],
  ])("%s", async (_what, breakOff) => {
    const peer = await newPeer();
    const scope = new CancelScope();
    peer.respond = (response) => void response.writeHead(202).write("wait for it");
    let headRead = false;
    const noteHead = (): void => {
      headRead = true;
    };
    subscribe("http.client.response.finish", noteHead);
    const sending = post(peer.url(), scope);
    await eventually("the head was read", () => headRead);
    unsubscribe("http.client.response.finish", noteHead);
    breakOff(peer, scope);
    expect((await sending).status).toBe(202);
    await eventually("its socket is closed", () => peer.sockets.size === 0);
  });
});

test("a body past its limit costs the connection", async () => {
  const peer = await newPeer();
  peer.respond = (response) => {
    const more = (): void => {
      while (!response.destroyed && response.write("x".repeat(1_000)));
    };
    response.on("drain", more);
    more();
  };
  expect((await post(peer.url())).status).toBe(200);
  await eventually("its socket is closed", () => peer.sockets.size === 0);
});

test("a switch of protocols is no answer", async () => {
  const peer = await newPeer();
  peer.respond = (response) => void response.socket?.write("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n");
  await expect(post(peer.url())).rejects.toThrow("closed without an answer");
});

test("HTTPS: goes to whoever has a certificate that is trusted, and to nobody else", async () => {
  const peer = await newPeer(true);
  const refused: unknown = await post(peer.url("https")).catch((error) => error);
  expect([refused, neverSent(refused)]).toMatchObject([{ code: "DEPTH_ZERO_SELF_SIGNED_CERT" }, true]);
  expect(peer.arrived).toEqual([]);
  const trusted = getCACertificates();
  setDefaultCACertificates([...trusted, cert]);
  try {
    peer.respond = (response) => void response.writeHead(200).end("ok");
    for (let n = 0; n < 2; n++) expect((await post(peer.url("https"))).status).toBe(200);
    peer.respond = (response) => void response.socket?.destroy();
    // On the connection that is kept, and on a new one.
    for (let n = 0; n < 2; n++) expect(neverSent(await post(peer.url("https")).catch((error) => error))).toBe(false);
  } finally {
    setDefaultCACertificates(trusted);
  }
  expect(peer.arrived.map(({ body }) => body)).toEqual(["{}", "{}", "{}", "{}"]);
  expect(peer.arrived[0]?.socket).toBe(peer.arrived[1]?.socket);
});

test("HTTPS: to a peer that cuts the greeting off nothing was sent", async () => {
  const peer = createTcpServer((socket) => void socket.once("data", () => socket.resetAndDestroy()));
  await new Promise<void>((resolve) => peer.listen(0, "127.0.0.1", resolve));
  const error: unknown = await post(new URL(`https://127.0.0.1:${(peer.address() as AddressInfo).port}/`)).catch((caught) => caught);
  peer.close();
  expect([error, neverSent(error)]).toMatchObject([{ code: "ECONNRESET" }, true]);
});
