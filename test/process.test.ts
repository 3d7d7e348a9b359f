import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { Agent } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { readConfig } from "../src/config.ts";
import { STEPS } from "../src/orders/steps.ts";
import { firstOrder } from "../src/welcome.ts";
import { ChildServer } from "./support/child-server.ts";
import { eventually } from "./support/eventually.ts";
import { orderOf, postOrder, send, threadsPage } from "./support/http-client.ts";
import { RawConnection } from "./support/raw-connection.ts";
import { startService } from "./support/service.ts";

const FOR_EVER_MS = 300_000;
const NO_DEADLINES = { ORDER_TIMEOUT_MS: String(FOR_EVER_MS), SHUTDOWN_TIMEOUT_MS: String(FOR_EVER_MS) };
const CANCELED = STEPS.map((name) => ({ name, status: "canceled", detail: "shutdown" }));
const onWindows = process.platform === "win32";
/** What passes a signal on to the service, where it is there. */
const AS_STARTED = spawnSync("npm", ["--version"]).status === 0 ? ["npm", "start", "--silent"] : undefined;

const readiness = async (port: number) => (await send(port, { path: "/readyz" })).status;
const running = (adminPort: number, steps: number) =>
  eventually(
    `${steps} steps running`,
    () => threadsPage(adminPort),
    (page) => page.running === steps,
  );

/** Starts a server and says how long an order has to take so that what a test does meanwhile is done before it ends. */
async function startAndTime(server: ChildServer): Promise<{ port: number; adminPort: number; orderMs: number }> {
  const startedMs = performance.now();
  const ports = await server.ports();
  // A start is more work than some requests are, on any machine.
  return { ...ports, orderMs: 1_000 + Math.round(2 * (performance.now() - startedMs)) };
}

describe("node src/start.js", () => {
  test("says in one line of JSON where it listens, at every level; what it tells people to try works", async () => {
    await using server = new ChildServer({ LOG_LEVEL: "silent" });
    const { port, adminPort } = await server.ports();
    const { api, admin, took_ms, msg } = JSON.parse(server.stdout);
    expect([api, admin, msg]).toEqual([`http://127.0.0.1:${port}`, `http://127.0.0.1:${adminPort}`, "order pipeline is up"]);
    expect(took_ms).toBeGreaterThan(0);
    expect((await fetch(admin)).status).toBe(200);
    expect(await readiness(port)).toBe(200);

    const [, url, body] = /^curl -s (\S+) -d '(.+)'$/.exec(firstOrder(api)) ?? [];
    // As curl sends it.
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const answer = await fetch(url ?? "", { method: "POST", body: body ?? "", headers });
    expect({ status: answer.status, body: await answer.json() }).toMatchObject({ status: 200, body: { status: "ok" } });

    server.signal("SIGTERM");
    expect(await server.exited).toEqual({ code: 0, signal: null });
    expect(server.stderr).toBe("");
  });

  test("lists every setting for --help, and starts nothing", async () => {
    await using server = new ChildServer({}, [process.execPath, "src/start.js", "--help"]);
    expect(await server.exited).toEqual({ code: 0, signal: null });
    expect(server.stderr).toBe("");
    expect(server.stdout).not.toContain("http://");
    const implemented = Object.keys(readConfig({}));
    expect(implemented.length).toBeGreaterThan(14);
    for (const name of implemented) expect(server.stdout).toMatch(new RegExp(`^ +${name} +\\S+ +\\w.*$`, "m"));
    expect(server.stdout).toMatch(/^ +PORT +8080 /m);
  });

  test("leaves nothing in the directory where it is started, also where the variable for the compile cache is empty", async () => {
    const cwd = mkdtempSync(join(tmpdir(), "process-"));
    onTestFinished(() => rmSync(cwd, { recursive: true }));
    const start = [process.execPath, fileURLToPath(new URL("../src/start.js", import.meta.url))];
    await using server = new ChildServer({ NODE_COMPILE_CACHE: "" }, start, { cwd });
    await server.ports();
    server.signal("SIGTERM");
    expect(await server.exited).toEqual({ code: 0, signal: null });
    expect(readdirSync(cwd)).toEqual([]);
  });

  test.each([
    ["a setting with a line break", { PORT: "1\n2" }, [], 'PORT="1\\n2": must be a whole number from 0 to 65535'],
    ["an address that is not its own", { HOST: "192.0.2.1" }, [], "192.0.2.1 is not an address of this machine"],
    ["an option it does not know", {}, ["--nonsense"], "--nonsense'; settings are environment variables"],
    ["an argument it does not know", {}, ["nonsense"], "nonsense"],
  ])("refuses %s with one line", async (_what, settings, args, named) => {
    await using server = new ChildServer(settings as Record<string, string>, [process.execPath, "src/start.js", ...args]);
    expect(await server.exited).toEqual({ code: 1, signal: null });
    expect(server.stdout).toBe("");
    expect(server.stderr).toMatch(/^order-pipeline: [^\n]+\n$/);
    expect(server.stderr).toContain(named);
    await expect(server.ports()).rejects.toThrow(`ended before it listened, with exit code 1; stderr: ${server.stderr.trimEnd()}`);
  });

  test.each(["PORT", "ADMIN_PORT"])("refuses a %s in use", async (name) => {
    await using holder = createServer().listen(0, "127.0.0.1");
    await once(holder, "listening");
    const { port } = holder.address() as AddressInfo;
    await expect(startService({ [name]: String(port) })).rejects.toThrow(`${name}: 127.0.0.1:${port} is already in use`);
  });
});

describe.skipIf(onWindows)("a signal", () => {
  test("drains, through npm start too: no new orders, those in flight are answered, exit 0", async () => {
    await using server = new ChildServer(NO_DEADLINES, AS_STARTED);
    const { port, adminPort, orderMs } = await startAndTime(server);
    const agent = new Agent({ keepAlive: true });
    const inFlight = postOrder(port, orderOf("in-flight", orderMs), { agent });
    await running(adminPort, STEPS.length);

    server.signal("SIGTERM");
    await eventually(
      "readyz says no",
      () => readiness(port),
      (status) => status === 503,
    );
    expect((await send(port, { path: "/healthz" })).status).toBe(200);
    using late = await RawConnection.open(port);
    const body = JSON.stringify(orderOf("late", 0));
    await late.write(`POST /order HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    const refusal = await late.until(/\r\n\r\n\{.*\}/);
    expect(refusal).toMatch(/^HTTP\/1\.1 503 /);
    expect(refusal).toMatch(/^Retry-After: [1-9]\d*\r$/im);
    expect(refusal).toMatch(/^Connection: close\r$/im);
    expect(JSON.parse(/\{.*\}/.exec(refusal)?.[0] ?? "")).toMatchObject({ status: "error", error: { kind: "shutting_down" } });
    await eventually("the end of that connection", () => late.closed);

    expect(await inFlight).toMatchObject({ status: 200, json: { status: "ok", order_id: "in-flight" } });
    expect(await server.exited).toEqual({ code: 0, signal: null });
    expect(server.stderr).toBe("");
    await expect(readiness(port)).rejects.toThrow(/ECONNREFUSED/);
    agent.destroy();
  });

  test("stops a server that is idle but for open connections", async () => {
    await using server = new ChildServer(NO_DEADLINES);
    const { port } = await server.ports();
    const agent = new Agent({ keepAlive: true });
    await send(port, { path: "/healthz", agent });
    using _silent = await RawConnection.open(port);
    server.signal("SIGTERM");
    expect(await server.exited).toEqual({ code: 0, signal: null });
    agent.destroy();
  });

  test("sent again cancels what is left: 408, canceled, shutdown, exit 0", async () => {
    await using server = new ChildServer(NO_DEADLINES);
    const { port, adminPort } = await server.ports();
    const orders = [1, 2].map((n) => postOrder(port, orderOf(`left-${n}`, FOR_EVER_MS)));
    await running(adminPort, 2 * STEPS.length);
    server.signal("SIGTERM");
    await eventually(
      "readyz says no",
      () => readiness(port),
      (status) => status === 503,
    );

    let answered = 0;
    for (const order of orders) void order.then(() => answered++);
    // Signals soon after the first count as the same one, so it takes as many as it takes.
    const insist = () => {
      if (answered < 2) server.signal("SIGTERM");
      return answered === 2;
    };
    await eventually("the orders answered", insist);
    // Nor does one that comes when all is done make a failure of it.
    const late = setInterval(() => server.signal("SIGTERM"), 1);
    void server.exited.then(() => clearInterval(late));
    for (const answer of await Promise.all(orders)) {
      expect(answer).toMatchObject({
        status: 408,
        json: { status: "error", steps: CANCELED, error: { kind: "canceled", message: "order failed" } },
      });
    }
    expect(await server.exited).toEqual({ code: 0, signal: null });
  });

  test("that arrives twice at once, as Ctrl-C under npm does, is one signal", async () => {
    await using server = new ChildServer(NO_DEADLINES);
    const { port, adminPort, orderMs } = await startAndTime(server);
    const inFlight = postOrder(port, orderOf("in-flight", orderMs));
    await running(adminPort, STEPS.length);
    // Two of a name might reach the process as one.
    server.signal("SIGINT");
    server.signal("SIGTERM");
    expect(await inFlight).toMatchObject({ status: 200, json: { status: "ok" } });
    expect(await server.exited).toEqual({ code: 0, signal: null });
  });

  test("is enough where SHUTDOWN_TIMEOUT_MS is over before the orders are, or the rest of a client's headers or body has come", async () => {
    await using server = new ChildServer({ ...NO_DEADLINES, SHUTDOWN_TIMEOUT_MS: "50" });
    const { port, adminPort } = await server.ports();
    using headers = await RawConnection.open(port);
    await headers.write("POST /order HTTP/1.1\r\nHo");
    using body = await RawConnection.open(port);
    await body.write("POST /order HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n");
    await body.until(/100 Continue/);
    // Requests on connections accepted later are read later, so when this one runs the half ones have been.
    const inFlight = postOrder(port, { ...orderOf("too-long", FOR_EVER_MS), cpu_ms: { payment: FOR_EVER_MS } });
    await running(adminPort, STEPS.length);
    server.signal("SIGTERM");
    expect(await inFlight).toMatchObject({ status: 408, json: { steps: CANCELED, error: { kind: "canceled" } } });
    expect(await server.exited).toEqual({ code: 0, signal: null });
  });
});

test("a second server on one journal is refused with one line, and the first goes on", async () => {
  const directory = mkdtempSync(join(tmpdir(), "second-"));
  try {
    const JOURNAL = join(directory, "orders.db");
    await using first = await startService({ JOURNAL });
    await using second = new ChildServer({ JOURNAL });
    expect(await second.exited).toEqual({ code: 1, signal: null });
    // It waits a little for the lock, longer on a busy machine, and then says so.
    expect(second.logged.filter(({ msg }) => !msg.startsWith("still starting: opening the journal"))).toEqual([]);
    expect(second.stderr).toMatch(/^order-pipeline: JOURNAL=[^\n]*another process has it open\n$/);
    expect(await postOrder(first.port, orderOf("first", 0))).toMatchObject({ status: 200 });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test.skipIf(onWindows)(
  "a journal whose thread dies ends the process with 1 and one fatal line; the next start closes what it left open",
  async () => {
    const directory = mkdtempSync(join(tmpdir(), "lost-journal-"));
    const settings = { ...NO_DEADLINES, JOURNAL: join(directory, "orders.db") };
    const preload = fileURLToPath(new URL("support/first-thread-dies.ts", import.meta.url));
    try {
      {
        await using server = new ChildServer(settings, [process.execPath, "--import", preload, "src/start.js"]);
        const { port, adminPort } = await server.ports();
        const cutOff = expect(postOrder(port, orderOf("cut-off", FOR_EVER_MS))).rejects.toThrow();
        await running(adminPort, STEPS.length);
        server.signal("SIGUSR2");
        expect(await server.exited).toEqual({ code: 1, signal: null });
        expect(server.stderr).toBe("");
        const fatal = server.logged.filter(({ level }) => level >= 50);
        expect(fatal).toMatchObject([
          { level: 60, msg: expect.stringContaining("journal is lost"), reason: expect.stringContaining("thread") },
        ]);
        await cutOff;
      }
      await using next = await startService(settings);
      expect((await send(next.port, { path: "/order/cut-off" })).json).toMatchObject({
        status: "error",
        error: { kind: "internal" },
        attempts: [{ cause: "interrupted" }],
      });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
);
