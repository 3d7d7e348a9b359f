import { readFileSync, writeFileSync } from "node:fs";
import { Agent } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newId, orderOf, postOrder, send } from "../support/http-client.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { startService, type TestService } from "../support/service.ts";
import { basic, bearer, expectUnauthorized, fileWith, hashed, pathOf, SMALL } from "./keys-fixture.ts";

const [ANNA, BERT, CLEO, OPERATOR] = ["anna", "bert", "cleo", "operator"].map((who) => `${who}-long-enough-key`) as [
  string,
  string,
  string,
  string,
];

let server: TestService;
beforeAll(async () => {
  // Two threads: each is killed once.
  const keys = {
    API_KEYS_FILE: fileWith(`${ANNA}\n${hashed(BERT)}\n${hashed(CLEO)}`),
    ADMIN_KEYS_FILE: fileWith(`${OPERATOR}\n${hashed(BERT)}`),
  };
  server = await startService({ THREADS: "2", CPU_THREADS: "1", ...keys });
});
afterAll(() => server.stop());

describe("with API_KEYS_FILE", () => {
  test("orders and look-ups need a key, health checks do not", async () => {
    const { port } = server;
    const placed = orderOf(newId("placed"), 0);
    const { started } = server.service.threads.statistics();
    for (const headers of [
      {},
      bearer("wrong"),
      bearer(ANNA.slice(0, -1)),
      bearer(OPERATOR),
      basic("anyone", ANNA),
      { authorization: ANNA },
    ]) {
      expectUnauthorized(await postOrder(port, placed, { headers }));
      expectUnauthorized(await postOrder(port, "no order", { headers }));
      expectUnauthorized(await send(port, { path: `/order/${placed.order_id}`, headers }));
      expectUnauthorized(await send(port, { path: "/order/%20", headers }));
      expect((await send(port, { method: "HEAD", path: `/order/${placed.order_id}`, headers })).status).toBe(401);
    }
    // Who comes from another site learns nothing about keys.
    for (const headers of [{}, bearer(ANNA)]) {
      expect((await postOrder(port, placed, { headers: { ...headers, "sec-fetch-site": "cross-site" } })).status).toBe(403);
    }
    expect((await send(port, { path: "/nowhere" })).status).toBe(404);
    expect((await send(port, { path: "/order" })).status).toBe(405);
    expect(server.service.threads.statistics().started).toBe(started);
    for (const headers of [bearer(ANNA), bearer(BERT), { authorization: `bearer  ${BERT}` }]) {
      expect((await postOrder(port, placed, { headers })).status).toBe(200);
      expect((await send(port, { path: `/order/${placed.order_id}`, headers })).status).toBe(200);
      expect((await postOrder(port, "no order", { headers })).status).toBe(400);
    }
  });

  test("the answer does not wait for the body, and does not ask for it; a refused order leaves its connection fit for the next", async () => {
    for (const headers of ["Content-Length: 100", "Expect: 100-continue\r\nContent-Length: 100", "Content-Length: 1000000"]) {
      using silent = await RawConnection.open(server.port);
      await silent.write(`POST /order HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n\r\n`);
      expect(await silent.until(/\r\n\r\n\{.*\}/)).toMatch(/^HTTP\/1\.1 401 /);
    }
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const order = orderOf(newId("second-try"), 0);
    expectUnauthorized(await postOrder(server.port, order, { agent }));
    expect(await postOrder(server.port, order, { agent, headers: bearer(ANNA) })).toMatchObject({ status: 200, reused: true });
    agent.destroy();
  });

  test("an Idempotency-Key belongs to its client: another's is another, with another body or the same; refusals bind none", async () => {
    const keyed = (who: string) => ({ headers: { ...bearer(who), "idempotency-key": "same" } });
    const post = (who: string, order: object) => postOrder(server.port, order, keyed(who));
    const failing = { ...orderOf(newId("failing"), 0), fail_step: "vendor" };
    const other = orderOf(newId("other"), 0);

    expectUnauthorized(await post("nobody", other));
    const first = await post(ANNA, failing);
    expect(first.status).toBe(503);
    const repeat = await post(ANNA, failing);
    expect(repeat.headers["idempotent-replayed"]).toBe("true");
    expect(repeat.text).toBe(first.text);
    expect((await post(ANNA, other)).status).toBe(422);

    // The same body: a failed order runs anew for somebody else.
    const berts = await post(BERT, failing);
    expect(berts.status).toBe(503);
    expect(berts.headers["idempotent-replayed"]).toBeUndefined();
    // Another body: no mismatch.
    expect((await post(CLEO, other)).status).toBe(200);
    expect((await post(CLEO, failing)).status).toBe(422);
    expect((await post(BERT, failing)).headers["idempotent-replayed"]).toBe("true");
  });

  test("a client keeps its Idempotency-Keys over a restart and when its key becomes a hash in the file; the journal has no key", async () => {
    const file = fileWith(ANNA);
    const settings = { ...SMALL, API_KEYS_FILE: file, JOURNAL: pathOf("orders.db") };
    const failing = { ...orderOf(newId("kept"), 0), fail_step: "courier" };
    const headers = { ...bearer(ANNA), "idempotency-key": "kept" };
    {
      await using before = await startService(settings);
      expect((await postOrder(before.port, failing, { headers })).status).toBe(503);
    }
    writeFileSync(file, `${BERT}\n${hashed(ANNA)}`);
    {
      await using after = await startService(settings);
      expect((await postOrder(after.port, failing, { headers })).headers["idempotent-replayed"]).toBe("true");
      const berts = await postOrder(after.port, failing, { headers: { ...headers, ...bearer(BERT) } });
      expect(berts.headers["idempotent-replayed"]).toBeUndefined();
    }
    const bytes = readFileSync(settings.JOURNAL).toString("latin1");
    expect(bytes).toContain(failing.order_id);
    expect(bytes).not.toMatch(/anna-long-enough-key|bert-long-enough-key/);
  });
});

describe("with ADMIN_KEYS_FILE", () => {
  test("every admin route needs a key, as a token or as a password, and health checks do not", async () => {
    const routes = [
      ["GET", "/debug/threads", 200],
      ["POST", "/debug/threads", 405],
      ["GET", "/debug/trace?seconds=1", 200],
      ["GET", "/debug/trace?seconds=0", 400],
      ["POST", "/chaos/kill-thread", 200],
      ["POST", "/chaos/stick-thread", 400],
      ["GET", "/chaos/crash", 405],
      ["GET", "/nowhere", 404],
      ["GET", "/%zz", 404],
    ] as const;
    for (const [method, path, status] of routes) {
      for (const headers of [{}, bearer("wrong"), bearer(ANNA), basic(OPERATOR, "wrong")]) {
        const answer = await send(server.adminPort, { method, path, headers });
        expect(answer).toMatchObject({ status: 401, json: { status: "error", error: { kind: "unauthorized" } } });
        expect(answer.headers["www-authenticate"]).toMatch(/^Basic realm="[^"]+"/);
        expect(answer.headers["x-request-id"]).toMatch(/./);
        expect(answer.text).not.toContain("-key");
      }
      for (const headers of [bearer(OPERATOR), basic("anyone", BERT)]) {
        const body = path === "/chaos/stick-thread" ? "rubbish" : undefined;
        expect((await send(server.adminPort, { method, path, body, headers })).status).toBe(status);
      }
    }
    for (const port of [server.port, server.adminPort]) {
      for (const path of ["/healthz", "/readyz"]) expect((await send(port, { path, headers: { host: "balancer" } })).status).toBe(200);
    }
  });

  test("a listener that is not on loopback may start, and not without", async () => {
    const outside = { ...SMALL, ADMIN_HOST: "0.0.0.0" };
    await using open = await startService({ ...outside, ADMIN_KEYS_FILE: fileWith(OPERATOR) });
    const statuses = [{}, bearer(OPERATOR)].map((headers) => send(open.adminPort, { path: "/debug/threads", headers }));
    expect((await Promise.all(statuses)).map(({ status }) => status)).toEqual([401, 200]);
    // The last has no address now, and may have any by the time it is listened on.
    for (const host of ["0.0.0.0", "::", "::ffff:0.0.0.0", "nowhere.invalid"]) {
      const refusal = `ADMIN_HOST="${host}": is not known to be on loopback, so it needs ADMIN_KEYS_FILE`;
      await expect(startService({ ...outside, ADMIN_HOST: host })).rejects.toThrow(refusal);
    }
  });
});

test("requests without a valid key are counted, and logged once a second; no key comes out of it, not even of a fault", async () => {
  const file = fileWith(OPERATOR);
  const own = await startService({ ...SMALL, ADMIN_KEYS_FILE: file, API_KEYS_FILE: file });
  const ask = (port: number, path: string, key: string) => send(port, { path, headers: bearer(key) });
  await Promise.all(Array.from({ length: 200 }, (_, n) => ask(own.adminPort, "/metrics", `guess-${n}`)));
  await Promise.all(Array.from({ length: 10 }, (_, n) => ask(own.port, "/order/nobody", `guess-${n}`)));
  await ask(own.port, "/order/nobody", OPERATOR);
  const { text } = await ask(own.adminPort, "/metrics", OPERATOR);
  const counts = [...text.matchAll(/^unauthorized_total\{listener="(\w+)"\} (\d+)$/gm)].map(([, listener, count]) => [listener, count]);
  expect(counts).toEqual([
    ["public", "10"],
    ["admin", "200"],
  ]);
  own.service.orderService.place = () => Promise.reject(new Error("a bug"));
  const fault = await postOrder(own.port, orderOf(newId("fault"), 0), { headers: bearer(OPERATOR) });
  expect(fault.status).toBe(500);
  await own.stop();
  expect(own.logged.some(({ msg }) => msg === "request failed")).toBe(true);
  const ofAdmin = own.logged.filter(({ level, msg }) => level === 40 && msg === "admin listener: a request without a valid key");
  expect(ofAdmin[0]).toMatchObject({ address: "127.0.0.1" });
  // The first at once, then how many a second: as many lines as it took seconds, which nobody expects to be many.
  expect(ofAdmin.reduce((sum, { count = 1 }) => sum + Number(count), 0)).toBe(200);
  expect(ofAdmin.length).toBeLessThan(60);
  expect(JSON.stringify([own.logged, fault.headers, fault.text])).not.toMatch(/guess|long-enough-key/);
});

test("without API_KEYS_FILE a key that is sent all the same changes nothing", async () => {
  await using open = await startService(SMALL);
  const failing = { ...orderOf(newId("open"), 0), fail_step: "vendor" };
  const post = (headers: Record<string, string>) => postOrder(open.port, failing, { headers: { ...headers, "idempotency-key": "open" } });
  expect((await post(bearer(ANNA))).status).toBe(503);
  expect((await post({})).headers["idempotent-replayed"]).toBe("true");
  expect(open.service.reloadKeys).toBeUndefined();
});
