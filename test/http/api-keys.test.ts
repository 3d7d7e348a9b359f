import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, constants, linkSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { AccessKeys } from "../../src/http/access-keys.ts";
import { STEPS } from "../../src/orders/steps.ts";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { newId, orderOf, postOrder, type Received, send, threadsPage } from "../support/http-client.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { startService } from "../support/service.ts";

const FOR_EVER_MS = 300_000;
const onWindows = process.platform === "win32";
// Starts faster.
const SMALL = { THREADS: "1", CPU_THREADS: "1" };
const directory = mkdtempSync(join(tmpdir(), "api-keys-"));
afterAll(() => rmSync(directory, { recursive: true }));

let files = 0;
const pathOf = (name: string): string => join(directory, `${name}-${files++}`);
const fileWith = (text: string): string => {
  const file = pathOf("keys");
  writeFileSync(file, text);
  return file;
};
const hashed = (key: string) => `sha256:${createHash("sha256").update(key).digest("hex")}`;
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const basic = (key: string) => ({ authorization: `Basic ${Buffer.from(`anyone:${key}`).toString("base64")}` });

function expectUnauthorized(answer: Received): void {
  expect(answer).toMatchObject({
    status: 401,
    json: { status: "error", error: { kind: "unauthorized", message: "Authorization: must be Bearer KEY" } },
  });
  expect(answer.headers["www-authenticate"]).toBe("Bearer");
  expect(answer.headers["x-request-id"]).toMatch(/./);
}

describe("the name of a key's client", () => {
  const nameIn = async (text: string, key: string) => (await AccessKeys.read("API_KEYS_FILE", fileWith(text))).find(key);

  test("stays the same over restarts, wherever and however the key stands in the file, and is another for another key", async () => {
    const names = [
      await nameIn("anna-long-enough-key", "anna-long-enough-key"),
      await nameIn("anna-long-enough-key", "anna-long-enough-key"),
      await nameIn(hashed("anna-long-enough-key"), "anna-long-enough-key"),
      await nameIn(
        `bert-long-enough-key\n# more\n${hashed("anna-long-enough-key")
          .replace(/[a-f]/g, (digit) => digit.toUpperCase())
          .replace(/^SHA/i, "sha")}`,
        "anna-long-enough-key",
      ),
    ];
    expect(new Set(names.map((client) => JSON.stringify(client))).size).toBe(1);
    expect(names[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(await nameIn("anna-long-enough-key\nbert-long-enough-key", "bert-long-enough-key")).not.toEqual(names[0]);
  });

  test("is none for what is no key, not even for a key's hash", async () => {
    for (const shown of [
      "anna-long-enough-ke",
      "anna-long-enough-key2",
      "ANNA-LONG-ENOUGH-KEY",
      "",
      hashed("anna-long-enough-key"),
      hashed("anna-long-enough-key").slice("sha256:".length),
    ]) {
      expect(await nameIn(`anna-long-enough-key\n${hashed("bert-long-enough-key")}`, shown)).toBeUndefined();
    }
  });

  test("is found among thousands of keys, and twice the same key is one", async () => {
    const all = Array.from({ length: 3_000 }, (_, n) => `long-enough-key-${n}`);
    const keys = await AccessKeys.read("API_KEYS_FILE", fileWith([...all, hashed("long-enough-key-7"), "long-enough-key-7"].join("\n")));
    expect(keys.count).toBe(3_000);
    expect(new Set(all.map((key) => keys.find(key))).size).toBe(3_000);
  });

  test.skipIf(onWindows)("comes from the newest look at the file, though an older one ends later", async () => {
    const file = fileWith("first-long-enough-key");
    const keys = await AccessKeys.read("API_KEYS_FILE", file);
    const pipe = pathOf("pipe");
    expect(spawnSync("mkfifo", [pipe]).status).toBe(0);
    rmSync(file);
    linkSync(pipe, file);
    const older = keys.reload();
    const writer = await eventually(
      "a reader",
      () => openToWrite(pipe),
      (fd) => fd !== undefined,
    );
    renameSync(fileWith("new-long-enough-key"), file);
    const newest = keys.reload();
    // By then the newest would be over too, had it not to wait.
    await AccessKeys.read("API_KEYS_FILE", file);
    writeSync(writer as number, "old-long-enough-key\n");
    closeSync(writer as number);
    await Promise.all([older, newest]);
    expect(["first-long-enough-key", "old-long-enough-key", "new-long-enough-key"].map((key) => keys.find(key) !== undefined)).toEqual([
      false,
      false,
      true,
    ]);
  });
});

/** Opens a named pipe, undefined while nobody reads it. */
function openToWrite(pipe: string): number | undefined {
  try {
    return openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
}

describe("with API_KEYS_FILE", () => {
  test("orders and look-ups need a key, health checks and the admin listener do not", async () => {
    await using server = await startService({
      ...SMALL,
      API_KEYS_FILE: fileWith(`anna-long-enough-key\n${hashed("bert-long-enough-key")}`),
    });
    const { port, adminPort } = server;
    const placed = orderOf(newId("placed"), 0);
    for (const headers of [
      {},
      bearer("wrong"),
      bearer("anna-long-enough-ke"),
      basic("anna-long-enough-key"),
      { authorization: "anna-long-enough-key" },
    ]) {
      expectUnauthorized(await postOrder(port, placed, { headers }));
      expectUnauthorized(await postOrder(port, "no order", { headers }));
      expectUnauthorized(await send(port, { path: `/order/${placed.order_id}`, headers }));
      expectUnauthorized(await send(port, { path: "/order/%20", headers }));
      expect((await send(port, { method: "HEAD", path: `/order/${placed.order_id}`, headers })).status).toBe(401);
    }
    for (const path of ["/healthz", "/readyz"]) expect((await send(port, { path })).status).toBe(200);
    expect((await send(port, { path: "/nowhere" })).status).toBe(404);
    expect((await send(port, { path: "/order" })).status).toBe(405);
    expect(await threadsPage(adminPort)).toMatchObject({ started: 0 });

    for (const headers of [
      bearer("anna-long-enough-key"),
      bearer("bert-long-enough-key"),
      { authorization: "bearer  bert-long-enough-key" },
    ]) {
      expect((await postOrder(port, placed, { headers })).status).toBe(200);
      expect((await send(port, { path: `/order/${placed.order_id}`, headers })).status).toBe(200);
      expect((await postOrder(port, "no order", { headers })).status).toBe(400);
    }
  });

  test("who comes from another site learns nothing about keys", async () => {
    await using server = await startService({ ...SMALL, API_KEYS_FILE: fileWith("anna-long-enough-key") });
    const headers = { "sec-fetch-site": "cross-site" };
    expect((await postOrder(server.port, orderOf(newId("foreign"), 0), { headers })).status).toBe(403);
    expect(
      (await postOrder(server.port, orderOf(newId("foreign"), 0), { headers: { ...headers, ...bearer("anna-long-enough-key") } })).status,
    ).toBe(403);
  });

  test("the answer does not wait for the body, and does not ask for it", async () => {
    await using server = await startService({ ...SMALL, API_KEYS_FILE: fileWith("anna-long-enough-key") });
    using silent = await RawConnection.open(server.port);
    await silent.write("POST /order HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n");
    expect(await silent.until(/\r\n\r\n\{.*\}/)).toMatch(/^HTTP\/1\.1 401 /);
    using polite = await RawConnection.open(server.port);
    await polite.write("POST /order HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n");
    expect(await polite.until(/\r\n\r\n\{.*\}/)).toMatch(/^HTTP\/1\.1 401 /);
    using large = await RawConnection.open(server.port);
    await large.write("POST /order HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n");
    expect(await large.until(/\r\n\r\n\{.*\}/)).toMatch(/^HTTP\/1\.1 401 /);
  });

  test("a refused order leaves its connection fit for the next", async () => {
    await using server = await startService({ ...SMALL, API_KEYS_FILE: fileWith("anna-long-enough-key") });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const order = orderOf(newId("second-try"), 0);
    expectUnauthorized(await postOrder(server.port, order, { agent }));
    expect(await postOrder(server.port, order, { agent, headers: bearer("anna-long-enough-key") })).toMatchObject({
      status: 200,
      reused: true,
    });
    agent.destroy();
  });

  test("an Idempotency-Key belongs to its client: another's is another, with another body or the same", async () => {
    await using server = await startService({
      ...SMALL,
      API_KEYS_FILE: fileWith(`anna-long-enough-key\nbert-long-enough-key\n${hashed("cleo-long-enough-key")}`),
    });
    const post = (who: string, order: object) =>
      postOrder(server.port, order, { headers: { ...bearer(`${who}-long-enough-key`), "idempotency-key": "same" } });
    const failing = { ...orderOf(newId("failing"), 0), fail_step: "vendor" };
    const other = orderOf(newId("other"), 0);

    const first = await post("anna", failing);
    expect(first.status).toBe(503);
    const repeat = await post("anna", failing);
    expect(repeat.headers["idempotent-replayed"]).toBe("true");
    expect(repeat.text).toBe(first.text);
    expect((await post("anna", other)).status).toBe(422);

    // The same body: a failed order runs anew for somebody else.
    const berts = await post("bert", failing);
    expect(berts.status).toBe(503);
    expect(berts.headers["idempotent-replayed"]).toBeUndefined();
    // Another body: no mismatch.
    expect((await post("cleo", other)).status).toBe(200);
    expect((await post("cleo", failing)).status).toBe(422);
    expect((await post("bert", failing)).headers["idempotent-replayed"]).toBe("true");
  });

  test("refusals bind no Idempotency-Key", async () => {
    await using server = await startService({ ...SMALL, API_KEYS_FILE: fileWith("anna-long-enough-key") });
    const once = { "idempotency-key": "once" };
    expectUnauthorized(await postOrder(server.port, orderOf(newId("refused"), 0), { headers: once }));
    const taken = await postOrder(server.port, orderOf(newId("taken"), 0), { headers: { ...once, ...bearer("anna-long-enough-key") } });
    expect(taken.status).toBe(200);
    expect(taken.headers["idempotent-replayed"]).toBeUndefined();
  });

  test("a client keeps its Idempotency-Keys over a restart and when its key becomes a hash in the file; the journal has no key", async () => {
    const file = fileWith("anna-long-enough-key");
    const settings = { ...SMALL, API_KEYS_FILE: file, JOURNAL: pathOf("orders.db") };
    const failing = { ...orderOf(newId("kept"), 0), fail_step: "courier" };
    const headers = { ...bearer("anna-long-enough-key"), "idempotency-key": "kept" };
    {
      await using server = await startService(settings);
      expect((await postOrder(server.port, failing, { headers })).status).toBe(503);
    }
    writeFileSync(file, `bert-long-enough-key\n${hashed("anna-long-enough-key")}`);
    {
      await using server = await startService(settings);
      expect((await postOrder(server.port, failing, { headers })).headers["idempotent-replayed"]).toBe("true");
      const berts = await postOrder(server.port, failing, { headers: { ...headers, ...bearer("bert-long-enough-key") } });
      expect(berts.headers["idempotent-replayed"]).toBeUndefined();
    }
    const bytes = readFileSync(settings.JOURNAL).toString("latin1");
    expect(bytes).toContain(failing.order_id);
    expect(bytes).not.toMatch(/anna-long-enough-key|bert-long-enough-key/);
  });

  test("both files are read again, and neither's fault is the other's", async () => {
    const api = fileWith("old-long-enough-key");
    const admin = fileWith("old-long-enough-admin");
    await using server = await startService({ ...SMALL, API_KEYS_FILE: api, ADMIN_KEYS_FILE: admin });
    const statuses = async () => {
      const orders = ["old-long-enough-key", "new-long-enough-key"].map((key) =>
        send(server.port, { path: "/order/nobody", headers: bearer(key) }),
      );
      const pages = ["old-long-enough-admin", "new-long-enough-admin"].map((key) =>
        send(server.adminPort, { path: "/debug/threads", headers: bearer(key) }),
      );
      return (await Promise.all([...orders, ...pages])).map(({ status }) => status);
    };
    expect(await statuses()).toEqual([404, 401, 200, 401]);
    writeFileSync(api, "new-long-enough-key\nbad line");
    writeFileSync(admin, "new-long-enough-admin");
    await server.service.reloadKeys?.();
    expect(await statuses()).toEqual([404, 401, 401, 200]);
    writeFileSync(api, "new-long-enough-key");
    rmSync(admin);
    await server.service.reloadKeys?.();
    expect(await statuses()).toEqual([401, 404, 401, 200]);
    const lines = server.logged.filter(({ msg }) => msg.includes("keys")).map(({ level, msg }) => `${level} ${msg}`);
    expect(lines.sort()).toEqual([
      "30 API keys read again",
      "30 admin keys read again",
      "50 API keys stay as they were",
      "50 admin keys stay as they were",
    ]);
    expect(JSON.stringify(server.logged)).not.toMatch(/(old|new)-(key|admin)|bad line/);
  });

  test("no key comes out of it: not in answers, not in the log, not even of a fault", async () => {
    await using server = await startService({ ...SMALL, API_KEYS_FILE: fileWith("anna-long-enough-key") });
    server.service.orderService.place = () => Promise.reject(new Error("a bug"));
    const answers = [
      await postOrder(server.port, orderOf(newId("fault"), 0), { headers: bearer("anna-long-enough-key") }),
      await postOrder(server.port, orderOf(newId("fault"), 0), { headers: bearer("wrong-key") }),
      await postOrder(server.port, "no order", { headers: bearer("anna-long-enough-key") }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([500, 401, 400]);
    expect(server.logged.some(({ msg }) => msg === "request failed")).toBe(true);
    const seen = JSON.stringify([server.logged, answers.map(({ headers, text }) => ({ headers, text }))]);
    expect(seen).not.toMatch(/anna-long-enough-key|wrong-key/);
  });
});

test("without API_KEYS_FILE a key that is sent all the same changes nothing", async () => {
  await using server = await startService(SMALL);
  const failing = { ...orderOf(newId("open"), 0), fail_step: "vendor" };
  const post = (headers: Record<string, string>) => postOrder(server.port, failing, { headers: { ...headers, "idempotency-key": "open" } });
  expect((await post(bearer("anna-long-enough-key"))).status).toBe(503);
  expect((await post({})).headers["idempotent-replayed"]).toBe("true");
  expect(server.service.reloadKeys).toBeUndefined();
});

test.skipIf(onWindows)("SIGHUP changes the keys and leaves requests under way undisturbed", async () => {
  const file = fileWith("old-long-enough-key");
  await using server = new ChildServer({ ...SMALL, API_KEYS_FILE: file, ORDER_TIMEOUT_MS: String(FOR_EVER_MS) });
  const { port, adminPort } = await server.ports();
  const place = async (key: string, ms: number) => await postOrder(port, orderOf(newId("hup"), ms), { headers: bearer(key) });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  expect(await send(port, { path: "/order/nobody", agent, headers: bearer("old-long-enough-key") })).toMatchObject({ status: 404 });

  // Two orders whose steps run, and one of which the body is on its way.
  const waiting = [orderOf(newId("hup"), FOR_EVER_MS), orderOf(newId("hup"), FOR_EVER_MS)].map((order) => {
    const hangUp = new AbortController();
    return {
      hangUp,
      answer: postOrder(port, order, { headers: bearer("old-long-enough-key"), signal: hangUp.signal }).catch(() => undefined),
    };
  });
  const running = () =>
    eventually(
      "the steps of both running",
      () => threadsPage(adminPort),
      (page) => page.running === 2 * STEPS.length,
    );
  await running();
  using half = await RawConnection.open(port);
  const body = JSON.stringify(orderOf(newId("hup"), 0));
  await half.write(
    `POST /order HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer old-long-enough-key\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  await half.until(/100 Continue/);

  writeFileSync(file, "bad key");
  server.signal("SIGHUP");
  await eventually("the refusal in the log", () => server.stdout.includes("API keys stay as they were"));
  expect([(await place("old-long-enough-key", 0)).status, (await place("new-long-enough-key", 0)).status]).toEqual([200, 401]);

  writeFileSync(file, hashed("new-long-enough-key"));
  server.signal("SIGHUP");
  await eventually(
    "the new key",
    () => place("new-long-enough-key", 0),
    ({ status }) => status === 200,
  );
  expectUnauthorized(await place("old-long-enough-key", 0));
  // The connection is the same, the key is looked at anew.
  expect(await send(port, { path: "/order/nobody", agent, headers: bearer("old-long-enough-key") })).toMatchObject({
    status: 401,
    reused: true,
  });
  agent.destroy();

  await running();
  await half.write(body);
  expect(await half.until(/HTTP\/1\.1 2\d\d [\s\S]*\r\n\r\n\{.*\}/)).toContain('"status":"ok"');
  for (const { hangUp } of waiting) hangUp.abort();
  await Promise.all(waiting.map(({ answer }) => answer));
  await eventually(
    "nothing running",
    () => threadsPage(adminPort),
    (page) => page.running === 0,
  );
  server.signal("SIGTERM");
  expect(await server.exited).toEqual({ code: 0, signal: null });
  expect(server.stderr).toBe("");
  expect(server.stdout).not.toMatch(/(old|new)-key|bad key/);
});
