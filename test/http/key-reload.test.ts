import { spawnSync } from "node:child_process";
import { closeSync, constants, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { Agent } from "node:http";
import { expect, test } from "vitest";
import { STEPS } from "../../src/orders/steps.ts";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { newId, orderOf, postOrder, send } from "../support/http-client.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { startService } from "../support/service.ts";
import { bearer, expectUnauthorized, fileWith, hashed, pathOf, SMALL } from "./keys-fixture.ts";

const FOR_EVER_MS = 300_000;

test("both files are read again, neither's fault is the other's, and a bad file changes nothing", async () => {
  const [api, admin] = [fileWith("old-long-enough-key"), fileWith("old-long-enough-admin")];
  await using own = await startService({ ...SMALL, API_KEYS_FILE: api, ADMIN_KEYS_FILE: admin });
  const statuses = async () => {
    const orders = ["old-long-enough-key", "new-long-enough-key"].map((key) =>
      send(own.port, { path: "/order/nobody", headers: bearer(key) }),
    );
    const pages = ["old-long-enough-admin", "new-long-enough-admin"].map((key) =>
      send(own.adminPort, { path: "/debug/threads", headers: bearer(key) }),
    );
    return (await Promise.all([...orders, ...pages])).map(({ status }) => status);
  };
  expect(await statuses()).toEqual([404, 401, 200, 401]);
  writeFileSync(api, "new-long-enough-key\nbad line");
  writeFileSync(admin, "new-long-enough-admin");
  await own.service.reloadKeys?.();
  expect(await statuses()).toEqual([404, 401, 401, 200]);
  writeFileSync(api, "new-long-enough-key");
  rmSync(admin);
  await own.service.reloadKeys?.();
  expect(await statuses()).toEqual([401, 404, 401, 200]);
  const lines = own.logged.filter(({ msg }) => msg.includes("keys"));
  expect(lines.map(({ level, msg }) => `${level} ${msg}`).sort()).toEqual([
    "30 API keys read again",
    "30 admin keys read again",
    "50 API keys stay as they were",
    "50 admin keys stay as they were",
  ]);
  expect(lines.find(({ msg }) => msg === "API keys stay as they were")).toMatchObject({ reason: expect.stringMatching(/line 2/) });
  expect(JSON.stringify(own.logged)).not.toMatch(/(old|new)-(key|admin)|bad line/);
});

test("the process refuses a key in the place of its file in one line", async () => {
  await using refused = new ChildServer({ ADMIN_KEYS_FILE: "my-secret-key" });
  expect(await refused.exited).toEqual({ code: 1, signal: null });
  expect([refused.stdout, refused.stderr]).toEqual(["", expect.stringMatching(/^order-pipeline: ADMIN_KEYS_FILE: (?!.*my-secret).*\n$/)]);
});

test.skipIf(process.platform === "win32")(
  "SIGHUP changes the keys and leaves requests under way undisturbed; one that comes before the start is over is heard when it is",
  async () => {
    const [file, pipe] = [fileWith("old-long-enough-key"), pathOf("pipe")];
    expect(spawnSync("mkfifo", [pipe]).status).toBe(0);
    /** Works as soon as the server reads. */
    const writeToReader = async (text: string, beforeEnd = () => {}) => {
      const fd = await eventually("a reader", () => {
        try {
          return openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
        } catch {
          return undefined;
        }
      });
      writeSync(fd as number, text);
      beforeEnd();
      closeSync(fd as number);
    };
    await using child = new ChildServer({ ...SMALL, API_KEYS_FILE: file, ADMIN_KEYS_FILE: pipe, ORDER_TIMEOUT_MS: String(FOR_EVER_MS) });
    await writeToReader("old-long-enough-admin\n", () => child.signal("SIGHUP"));
    const { port, adminPort } = await child.ports();
    await writeToReader("new-long-enough-admin\n");
    const threads = () => send(adminPort, { path: "/debug/threads", headers: bearer("new-long-enough-admin") });
    await eventually("the new admin key", threads, ({ status }) => status === 200);

    const place = async (key: string, ms: number) => await postOrder(port, orderOf(newId("hup"), ms), { headers: bearer(key) });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    expect(await send(port, { path: "/order/nobody", agent, headers: bearer("old-long-enough-key") })).toMatchObject({ status: 404 });
    // An order whose steps run, and one of which the body is on its way.
    const hangUp = new AbortController();
    const headers = bearer("old-long-enough-key");
    const waiting = postOrder(port, orderOf(newId("hup"), FOR_EVER_MS), { headers, signal: hangUp.signal }).catch(() => undefined);
    const running = (count: number) => eventually("so many steps", threads, ({ json }) => json.running === count);
    await running(STEPS.length);
    using half = await RawConnection.open(port);
    const body = JSON.stringify(orderOf(newId("hup"), 0));
    const head = `Host: localhost\r\nAuthorization: ${headers.authorization}\r\nExpect: 100-continue\r\nContent-Length: ${body.length}`;
    await half.write(`POST /order HTTP/1.1\r\n${head}\r\n\r\n`);
    await half.until(/100 Continue/);

    writeFileSync(file, hashed("new-long-enough-key"));
    child.signal("SIGHUP");
    await writeToReader("bad key\n");
    await eventually(
      "the new key",
      () => place("new-long-enough-key", 0),
      ({ status }) => status === 200,
    );
    await eventually("the refusal in the log", () => child.stdout.includes("admin keys stay as they were"));
    expectUnauthorized(await place("old-long-enough-key", 0));
    // The connection is the same, the key is looked at anew.
    expect(await send(port, { path: "/order/nobody", agent, headers })).toMatchObject({ status: 401, reused: true });
    agent.destroy();
    await running(STEPS.length);
    await half.write(body);
    expect(await half.until(/HTTP\/1\.1 2\d\d [\s\S]*\r\n\r\n\{.*\}/)).toContain('"status":"ok"');
    hangUp.abort();
    await waiting;
    await running(0);
    child.signal("SIGTERM");
    expect(await child.exited).toEqual({ code: 0, signal: null });
    expect(child.stderr).toBe("");
    expect(child.stdout).not.toMatch(/(old|new)-key|bad key/);
  },
);
