import dns from "node:dns";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { newId, orderOf, type Received, send } from "../support/http-client.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { startService, type TestService } from "../support/service.ts";

const FORBIDDEN = { status: 403, json: { status: "error", error: { kind: "forbidden" } } };

let server: TestService;
beforeAll(async () => {
  server = await startService();
});
afterAll(() => server.stop());

const listeners = () =>
  [
    { port: server.port, path: "/order/nobody", reached: 404 },
    { port: server.adminPort, path: "/debug/threads", reached: 200 },
  ] as const;
const order = (port: number, headers: Record<string, string>): Promise<Received> =>
  send(port, { method: "POST", path: "/order", body: orderOf(newId("listener"), 0), headers });

describe("a Host", () => {
  const own = ["127.0.0.1", "127.0.0.1:8080", "10.1.2.3:1", "[::1]", "[::1]:8080", "[fe80::1]", "localhost", "localhost:3000", "LOCALHOST"];
  test.each([...own, "localhost."])("of %s is one of this server's", async (host) => {
    for (const { port, path, reached } of listeners()) {
      expect((await send(port, { path, headers: { host } })).status).toBe(reached);
      // The second time it is known already.
      expect((await send(port, { path, headers: { host } })).status).toBe(reached);
    }
    expect((await order(server.port, { host })).status).toBe(200);
  });

  test.each([
    "evil.example",
    "evil.example:8080",
    "localhost.evil.example",
    "evil.localhost",
    "127.0.0.1.evil.example",
    // Numbers that some resolvers take for an address.
    "2130706433",
    "0x7f.1",
    "127.1",
    "::1",
    "[::1",
    "[evil.example]",
    "127.0.0.1:80:80",
    "user@127.0.0.1",
    "127.0.0.1, evil.example",
    ":80",
  ])("of %j is foreign, and its request is refused", async (host) => {
    const before = server.service.threads.statistics().started;
    for (const { port, path } of listeners()) {
      const answer = await send(port, { path, headers: { host, "x-request-id": "asked" } });
      expect(answer).toMatchObject(FORBIDDEN);
      expect(answer.headers["x-request-id"]).toBe("asked");
    }
    expect(await order(server.port, { host })).toMatchObject(FORBIDDEN);
    expect(await send(server.adminPort, { method: "POST", path: "/chaos/crash", headers: { host } })).toMatchObject(FORBIDDEN);
    expect(server.service.threads.statistics().started).toBe(before);
  });

  test.each(["/healthz", "/readyz", "/readyz?verbose"])("may be any for %s", async (path) => {
    expect((await send(server.port, { path, headers: { host: "balancer.example" } })).status).toBe(200);
  });

  test.each(["/healthz/", "//healthz", "/healthz/../order/a", "/HEALTHZ", "/nowhere?/healthz"])("may not be any for %s", async (path) => {
    expect(await send(server.port, { path, headers: { host: "evil.example" } })).toMatchObject(FORBIDDEN);
  });

  test("is needed, but by HTTP/1.0, which has none and which no browser speaks", async () => {
    using modern = await RawConnection.open(server.port);
    await modern.write("GET /healthz HTTP/1.1\r\n\r\n");
    expect(await modern.until(/\}$/)).toMatch(/^HTTP\/1\.1 400 [\s\S]*X-Request-Id: \S[\s\S]*"bad_request"[\s\S]*Host: is missing/);
    using empty = await RawConnection.open(server.port);
    await empty.write("GET /order/a HTTP/1.1\r\nHost:\r\n\r\n");
    expect(await empty.until(/\}$/)).toMatch(/^HTTP\/1\.1 403 /);
    using old = await RawConnection.open(server.port);
    await old.write("GET /readyz HTTP/1.0\r\n\r\n");
    expect(await old.until(/\}$/)).toMatch(/^HTTP\/1\.1 200 /);
  });

  test.each([
    ["behind a known one", "Host: localhost\r\nHost: evil.example\r\n"],
    ["before a known one", "Host: evil.example\r\nhost: localhost\r\n"],
    ["as itself", "Host: localhost\r\nHost: localhost\r\n"],
  ])("may not come a second time: %s", async (_what, hosts) => {
    await using open = await startService({ HOST: "0.0.0.0" });
    for (const port of [server.port, server.adminPort, open.port]) {
      using connection = await RawConnection.open(port);
      await connection.write(`GET /orders HTTP/1.1\r\n${hosts}\r\n`);
      expect(await connection.until(/\}$/)).toMatch(/^HTTP\/1\.1 403 [\s\S]*"kind":"forbidden"/);
    }
  });

  test.each([
    ["GET http://evil.example/order/a", 403, "forbidden"],
    ["GET HTTPS://evil.example/order/a", 403, "forbidden"],
    ["GET http://localhost@evil.example/order/a", 403, "forbidden"],
    ["GET http://localhost:80/order/a", 404, "not_found"],
    ["GET http://127.0.0.1/order", 405, "method_not_allowed"],
    // Express has no route and no answer of ours for what has no path.
    ["GET http://", 403, "forbidden"],
    ["GET ftp://", 400, "bad_request"],
    ["POST x://", 400, "bad_request"],
    ["OPTIONS *", 404, "not_found"],
  ])("counts in the target, too: %s", async (start, status, kind) => {
    for (const port of [server.port, server.adminPort]) {
      using connection = await RawConnection.open(port);
      await connection.write(`${start} HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: mine\r\nContent-Length: 0\r\n\r\n`);
      const answer = await connection.until(/\}$/);
      expect(answer).toMatch(/X-Request-Id: mine\r\n/);
      // The admin listener has no route for orders.
      if (port === server.port || status < 404) expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*"kind":"${kind}"`));
    }
  });

  test("may be a name of ALLOWED_HOSTS, on both listeners", async () => {
    await using named = await startService({ ALLOWED_HOSTS: "orders.example.com, Orders.Internal" });
    for (const host of ["orders.example.com", "ORDERS.example.com:443", "orders.internal", "localhost", "127.0.0.1"]) {
      expect((await order(named.port, { host })).status).toBe(200);
      expect((await send(named.adminPort, { path: "/debug/threads", headers: { host } })).status).toBe(200);
    }
    for (const host of ["example.com", "x.orders.example.com"]) {
      expect(await order(named.port, { host })).toMatchObject(FORBIDDEN);
      expect(await send(named.adminPort, { path: "/debug/threads", headers: { host } })).toMatchObject(FORBIDDEN);
    }
  });

  test("may be any name on a public listener that is not on loopback, and on no admin listener", async () => {
    await using open = await startService({ HOST: "0.0.0.0" });
    expect((await order(open.port, { host: "shop.example" })).status).toBe(200);
    expect(await order(open.port, { host: "shop.example", origin: "http://evil.example" })).toMatchObject(FORBIDDEN);
    expect(await send(open.adminPort, { path: "/debug/threads", headers: { host: "shop.example" } })).toMatchObject(FORBIDDEN);
  });

  test("must be a known name where the public listener's own has no address yet at the start, and is on loopback when it listens", async () => {
    // What `listen` asks; anybody else is told that there is no such name.
    const lookup = vi
      .spyOn(dns, "lookup")
      .mockImplementation(((_name: string, _options: object, told: (...found: unknown[]) => void) =>
        told(null, [{ address: "127.0.0.1", family: 4 }])) as never);
    onTestFinished(() => lookup.mockRestore());
    await using soon = await startService({ HOST: "soon.invalid" });
    expect(lookup.mock.calls.map(([name]) => name)).toContain("soon.invalid");
    lookup.mockRestore();
    expect(await order(soon.port, { host: "evil.example" })).toMatchObject(FORBIDDEN);
    expect((await order(soon.port, { host: "localhost" })).status).toBe(200);
  });

  test("must be a known name there too once ALLOWED_HOSTS has one; localhost is none of its names", async () => {
    await using named = await startService({ HOST: "0.0.0.0", ALLOWED_HOSTS: "shop.example" });
    expect((await order(named.port, { host: "shop.example" })).status).toBe(200);
    for (const host of ["evil.example", "localhost"]) expect(await order(named.port, { host })).toMatchObject(FORBIDDEN);
  });
});

describe("a browser", () => {
  const host = "127.0.0.1:8080";

  test.each([
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
    { origin: "http://evil.example" },
    { origin: "null" },
    { origin: "http://127.0.0.1" },
    { origin: "http://127.0.0.1:8081" },
    { origin: "http://127.0.0.1:8080.evil.example" },
    { origin: "file://" },
    { origin: "" },
    { origin: "http://evil.example", "sec-fetch-site": "same-origin" },
    { origin: `http://${host}`, "sec-fetch-site": "cross-site" },
  ] as Record<string, string>[])("that says %j has come from another site", async (headers) => {
    const before = server.service.threads.statistics().started;
    for (const { port, path } of listeners()) expect(await send(port, { path, headers: { host, ...headers } })).toMatchObject(FORBIDDEN);
    expect(await order(server.port, { host, ...headers })).toMatchObject(FORBIDDEN);
    expect(await send(server.port, { path: "/healthz", headers: { host, ...headers } })).toMatchObject(FORBIDDEN);
    expect(await send(server.adminPort, { method: "POST", path: "/chaos/crash", headers: { host, ...headers } })).toMatchObject(FORBIDDEN);
    expect(server.service.threads.statistics().started).toBe(before);
  });

  test.each([
    { "sec-fetch-site": "none" },
    { "sec-fetch-site": "same-origin" },
    { origin: `http://${host}` },
    // Somebody in front has taken off the TLS.
    { origin: `https://${host}` },
    { origin: `http://${host}`, "sec-fetch-site": "same-origin" },
  ] as Record<string, string>[])("that says %j has not", async (headers) => {
    for (const { port, path, reached } of listeners())
      expect((await send(port, { path, headers: { host, ...headers } })).status).toBe(reached);
    expect((await order(server.port, { host, ...headers })).status).toBe(200);
  });
});
