import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { perStep, STEPS } from "../../src/orders/steps.ts";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { newId, orderOf, postOrder, threadsPage } from "../support/http-client.ts";
import { startService } from "../support/service.ts";

const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";

test("each attempt is one line: what it was, how it ended, where its steps ran", async () => {
  await using server = await startService({ THREADS: "2", CPU_THREADS: "1" });
  const ofOrder = (id: string) => server.logged.filter(({ order_id }) => order_id === id);
  const ids = (await threadsPage(server.adminPort)).threads.filter(({ pool }) => pool === "shared").map(({ id }) => id);

  const placed = newId("placed");
  const headers = { "x-request-id": "of-a-test", traceparent: `00-${TRACE_ID}-b7ad6b7169203331-00` };
  await postOrder(server.port, orderOf(placed, 0), { headers });
  // A stored answer runs nothing.
  await postOrder(server.port, orderOf(placed, 0));
  const lines = ofOrder(placed);
  expect(lines).toMatchObject([
    {
      level: 30,
      msg: "order ended",
      attempt: 1,
      request_id: "of-a-test",
      status: "ok",
      duration_ms: expect.any(Number),
      trace_id: TRACE_ID,
    },
  ]);
  expect(lines[0]).not.toHaveProperty("kind");
  expect(lines[0]?.steps).toEqual(
    STEPS.map((name) => ({
      name,
      status: "ok",
      duration_ms: expect.any(Number),
      thread: expect.toSatisfy((thread: number) => ids.includes(thread)),
    })),
  );

  const failed = newId("failed");
  const delayMs = { ...perStep(() => 60_000), payment: 0, vendor: 20 };
  await postOrder(server.port, { order_id: failed, amount: 1, fail_step: "vendor", delay_ms: delayMs });
  expect(ofOrder(failed)).toMatchObject([
    {
      status: "error",
      kind: "vendor_unavailable",
      canceled: "sibling_failed",
      steps: STEPS.map((name) => {
        if (name === "payment") return { name, status: "ok" };
        if (name === "vendor") return { name, status: "error", detail: "vendor_unavailable" };
        return { name, status: "canceled", detail: "sibling_failed" };
      }),
    },
  ]);
  expect(ofOrder(failed)[0]).not.toHaveProperty("trace_id");
});

test("nothing of it is lost when the server is stopped under load", async () => {
  await using server = new ChildServer({ COURIER_CAPACITY: "128" });
  const { port } = await server.ports();
  const answered: string[] = [];
  let stopped = false;
  const client = async (n: number) => {
    for (let of = 0; !stopped; of++) {
      const id = `order-${n}-${of}`;
      const status = await postOrder(port, orderOf(id, 0)).then(
        (answer) => answer.status,
        () => undefined,
      );
      if (status !== 200) return;
      answered.push(id);
      if (answered.length === 200) server.signal("SIGTERM");
    }
  };
  const clients = Promise.all(Array.from({ length: 16 }, (_, n) => client(n)));
  const { code } = await server.exited;
  stopped = true;
  await clients;
  expect(code).toBe(0);
  expect(answered.length).toBeGreaterThanOrEqual(200);
  const lines = server.stdout.split("\n").filter((line) => line.startsWith("{"));
  const logged = lines.map((line) => JSON.parse(line) as { msg: string; order_id?: string });
  const ended = new Set(logged.filter(({ msg }) => msg === "order ended").map(({ order_id }) => order_id));
  expect(answered.filter((id) => !ended.has(id))).toEqual([]);
  expect(logged.at(-1)?.msg).toBe("stopped");
});

const canHaveTerminal = process.platform === "linux" && spawnSync("script", ["--version"]).status === 0;

test.skipIf(!canHaveTerminal)("on a terminal it is for people, in colors", async () => {
  const { PATH = "" } = process.env;
  const server = spawn("script", ["-qec", `exec "${process.execPath}" src/start.js`, "/dev/null"], {
    env: { PATH, JOURNAL: "memory", PORT: "0", ADMIN_PORT: "0", THREADS: "1", CPU_THREADS: "1" },
    stdio: ["pipe", "pipe", "inherit"],
    detached: true,
  });
  const exited = once(server, "exit");
  onTestFinished(() => {
    try {
      process.kill(-(server.pid as number), "SIGKILL");
    } catch {
      // It has ended.
    }
  });
  let shown = "";
  server.stdout?.setEncoding("utf8").on("data", (text) => (shown += text));
  const [, port] = await eventually(
    "the start-up text",
    () => /API\s+http:\/\/127\.0\.0\.1:(\d+)[\s\S]*stop .*\r?\n/.exec(shown) ?? [],
    ({ length }) => length > 0,
  );
  await postOrder(Number(port), orderOf("for-people", 0));
  const line = new RegExp(`order for-people: ok after \\d+ ms \\(${STEPS.map((step) => `${step} ok \\d+ ms`).join(", ")}\\)`);
  await eventually("the line", () => line.test(shown));
  // Ctrl-C.
  server.stdin?.write("\u0003");
  await exited;
  expect(shown).toContain("stopped");
  expect(shown).not.toContain('"msg"');
  expect(shown).toContain("\u001b[");
});
