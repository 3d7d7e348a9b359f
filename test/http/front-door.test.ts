import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KnownHosts } from "../../src/http/known-hosts.ts";
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
  send(port, { method: "POST", path: "/order", body: orderOf(newId("door"), 0), headers });

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
  ])("of %j is another's, and whoever sends it gets nothing", async (host) => {
    const before = server.service.runtime.totals().started;
    for (const { port, path } of listeners()) {
      const answer = await send(port, { path, headers: { host, "x-request-id": "asked" } });
      expect(answer).toMatchObject(FORBIDDEN);
      expect(answer.headers["x-request-id"]).toBe("asked");
    }
    expect(await order(server.port, { host })).toMatchObject(FORBIDDEN);
    expect(await send(server.adminPort, { method: "POST", path: "/chaos/crash", headers: { host } })).toMatchObject(FORBIDDEN);
    expect(server.service.runtime.totals().started).toBe(before);
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
    const before = server.service.runtime.totals().started;
    for (const { port, path } of listeners()) expect(await send(port, { path, headers: { host, ...headers } })).toMatchObject(FORBIDDEN);
    expect(await order(server.port, { host, ...headers })).toMatchObject(FORBIDDEN);
    expect(await send(server.port, { path: "/healthz", headers: { host, ...headers } })).toMatchObject(FORBIDDEN);
    expect(await send(server.adminPort, { method: "POST", path: "/chaos/crash", headers: { host, ...headers } })).toMatchObject(FORBIDDEN);
    expect(server.service.runtime.totals().started).toBe(before);
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

test("hosts that somebody makes up cost no memory", () => {
  const hosts = new KnownHosts({ loopback: true, names: [], anyName: false });
  for (let n = 0; n < 1_000; n++) expect(hosts.has(`10.0.0.1:${n}`)).toBe(true);
  expect(hosts.has("10.0.0.1:999")).toBe(true);
  expect(hosts.has("10.0.0.1:0")).toBe(true);
  expect(hosts.remembered).toBeLessThan(100);
});
