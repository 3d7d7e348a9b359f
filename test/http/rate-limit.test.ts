import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test, vi } from "vitest";
import { STEPS } from "../../src/orders/steps.ts";
import { newId, orderOf, postOrder, type Received, type Sending, send, threadsPage } from "../support/http-client.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { startService, type TestService } from "../support/service.ts";

const directory = mkdtempSync(join(tmpdir(), "rate-limit-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** A service whose rate limit knows only the time that a test lets pass. */
async function startLimited(settings: Record<string, string>): Promise<TestService & { readonly time: { ms: number } }> {
  const time = { ms: 0 };
  return { ...(await startService({ THREADS: "1", CPU_THREADS: "1", ...settings }, { rateClock: () => time.ms })), time };
}

function expectRefused(answer: Received): void {
  expect(answer).toMatchObject({ status: 429, json: { status: "error", error: { kind: "rate_limited" } } });
  expect(answer.headers["retry-after"]).toBe("1");
  expect(answer.headers["x-request-id"]).toMatch(/./);
}

const place = (port: number, more: Sending = {}) => postOrder(port, orderOf(newId("limited"), 0), more);

test("without a limit nobody is refused, nor with one that is high as real time passes", async () => {
  await using unlimited = await startService({ RATE_LIMIT: "off" });
  for (let n = 0; n < 5; n++) expect((await place(unlimited.port)).status).toBe(200);
  await using limited = await startService({ RATE_LIMIT: "1000000/1" });
  for (let n = 0; n < 5; n++) expect((await place(limited.port)).status).toBe(200);
});

describe("with RATE_LIMIT", () => {
  test("a client has its burst at once and then what comes in", async () => {
    await using server = await startLimited({ RATE_LIMIT: "2/5" });
    for (let n = 0; n < 5; n++) {
      const answer = await place(server.port);
      expect(answer.status).toBe(200);
      expect(answer.headers["retry-after"]).toBeUndefined();
    }
    const refused = await place(server.port);
    expectRefused(refused);
    expect(refused.json.error.message).toBe("too many orders from one client: it may send 2 a second, and 5 at once");
    // As Retry-After says.
    server.time.ms += 1_000;
    expect([(await place(server.port)).status, (await place(server.port)).status]).toEqual([200, 200]);
    expectRefused(await place(server.port));
    expect(await threadsPage(server.adminPort)).toMatchObject({ started: 7 * STEPS.length, orders_in_flight: 0 });
  });

  test("a refusal waits for no body and asks for none, comes before admission, and binds no Idempotency-Key; N alone is N/N", async () => {
    await using server = await startLimited({ RATE_LIMIT: "1" });
    expect((await place(server.port)).status).toBe(200);
    for (const header of ["", "Expect: 100-continue\r\n"]) {
      using connection = await RawConnection.open(server.port);
      await connection.write(`POST /order HTTP/1.1\r\nHost: localhost\r\n${header}Content-Length: 100\r\n\r\n`);
      expect(await connection.until(/\r\n\r\n\{.*\}/)).toMatch(/^HTTP\/1\.1 429 /);
    }
    const asked = vi.spyOn(server.service.orderService, "place");
    const headers = { "idempotency-key": "once" };
    expectRefused(await place(server.port, { headers }));
    expect(asked).not.toHaveBeenCalled();
    server.time.ms += 1_000;
    const taken = await place(server.port, { headers });
    expect(taken.status).toBe(200);
    expect(taken.headers["idempotent-replayed"]).toBeUndefined();
  });

  test("a request that is refused otherwise counts; look-ups, health checks and requests from elsewhere do not", async () => {
    await using server = await startLimited({ RATE_LIMIT: "1/4" });
    expect((await postOrder(server.port, "no order")).status).toBe(400);
    expect((await postOrder(server.port, "x".repeat(20_000))).status).toBe(413);
    expect((await postOrder(server.port, { ...orderOf(newId("limited"), 0), fail_step: "vendor" })).status).toBe(503);
    for (const path of ["/order/nobody", "/healthz", "/readyz", "/order", "/nowhere"]) await send(server.port, { path });
    expect((await place(server.port, { headers: { "sec-fetch-site": "cross-site" } })).status).toBe(403);
    expect((await place(server.port)).status).toBe(200);
    expectRefused(await place(server.port));
    // The body does not matter any more, nor the state of the service.
    expectRefused(await postOrder(server.port, "no order"));
  });

  test("and API keys each key has a bucket, wherever it comes from; a request without a key gets 401 first", async () => {
    const file = join(directory, "keys");
    writeFileSync(file, "anna-long-enough-key\nbert-long-enough-key");
    await using server = await startLimited({ RATE_LIMIT: "1/2", API_KEYS_FILE: file });
    const as = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });
    const statuses: number[] = [];
    for (const who of ["anna", "anna", "anna", "bert", "bert", "bert"])
      statuses.push((await place(server.port, as(`${who}-long-enough-key`))).status);
    expect(statuses).toEqual([200, 200, 429, 200, 200, 429]);
    for (let n = 0; n < 5; n++) expect((await place(server.port, as("cleo-long-enough-key"))).status).toBe(401);
  });

  test.skipIf(process.platform !== "linux")("each address has a bucket of its own", async () => {
    await using server = await startLimited({ RATE_LIMIT: "1/2", HOST: "0.0.0.0" });
    const from = (localAddress: string) => statusFrom(server.port, "127.0.0.1", localAddress);
    expect([await from("127.0.0.1"), await from("127.0.0.1"), await from("127.0.0.1")]).toEqual([200, 200, 429]);
    expect([await from("127.0.0.2"), await from("127.0.0.2"), await from("127.0.0.2")]).toEqual([200, 200, 429]);
  });

  const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1"));
  test.skipIf(!hasIpv6)("an IPv4 client of an IPv6 socket is one too", async () => {
    await using server = await startLimited({ RATE_LIMIT: "1", HOST: "::" });
    expect([await statusFrom(server.port, "::1"), await statusFrom(server.port, "::1")]).toEqual([200, 429]);
    expect([await statusFrom(server.port, "127.0.0.1"), await statusFrom(server.port, "127.0.0.1")]).toEqual([200, 429]);
  });
});

/** The status of one order that is sent from one address to another. */
function statusFrom(port: number, host: string, localAddress?: string): Promise<number> {
  const body = JSON.stringify(orderOf(newId("from"), 0));
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host, port, method: "POST", path: "/order", agent: false, ...(localAddress && { localAddress }) },
      (incoming) => {
        incoming.resume().once("end", () => resolve(incoming.statusCode ?? 0));
      },
    );
    outgoing.once("error", reject).end(body);
  });
}
