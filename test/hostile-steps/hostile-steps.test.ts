import { existsSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "vitest";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { postOrder, send, threadsPage } from "../support/http-client.ts";
import { FAILURES } from "./steps.ts";

const [DEADLINE_MS, GRACE_MS, SHUTDOWN_MS] = [1_000, 250, 2_000];
const SETTINGS = {
  THREADS: "1",
  CPU_THREADS: "1",
  ORDER_TIMEOUT_MS: String(DEADLINE_MS),
  CANCEL_GRACE_MS: String(GRACE_MS),
  SHUTDOWN_TIMEOUT_MS: String(SHUTDOWN_MS),
};
const COMMAND = [process.execPath, "test/hostile-steps/server.ts"];
// What the end may take beyond the time that orders have.
const END_MS = 1_000;
// Beside other work a process may get its turns seconds late. Whoever waits for the end of the call waits for fifty times as long.
const BUSY_MS = 6_000;
// A timer may fire a little early.
const EARLY_MS = 5;
const FOR_EVER_MS = 200_000;

const order = (order_id: string) => ({ order_id, amount: 1200 });
/** Its payment computes, so it may take as long as the order has: only a cancel, and then the grace, ends the wait for it. */
const alone = (order_id: string) => ({ ...order(order_id), cpu_ms: { payment: 1 } });
/** How long the server takes to end, from now on. It must end well: what is stuck is no failure of the service. */
async function endOf({ exited }: ChildServer): Promise<number> {
  const beganMs = performance.now();
  expect(await exited).toEqual({ code: 0, signal: null });
  return performance.now() - beganMs;
}
const idle = (adminPort: number) =>
  eventually(
    "nothing runs",
    () => threadsPage(adminPort),
    ({ running, started, finished }) => running === 0 && started > 0 && started === finished,
  );

// `sleep` is the native call.
const withSleep = test.skipIf(!existsSync("/bin/sleep"));

withSleep(
  "a step in a call that cannot be ended holds up no other order, and not the end of the process",
  { timeout: 90_000 },
  async () => {
    await using server = new ChildServer(SETTINGS, COMMAND);
    const { port, adminPort } = await server.ports();
    const stuck = postOrder(port, order("native-call"));
    await eventually(
      "the call has begun",
      () => threadsPage(adminPort),
      ({ started }) => started > 0,
    );
    const innocent = await postOrder(port, order("innocent"));
    // Its only thread is stuck: it ends at its own deadline, neither sooner nor later.
    expect(innocent.status).toBe(504);
    expect(innocent.elapsedMs).toBeGreaterThanOrEqual(DEADLINE_MS - EARLY_MS);
    expect(innocent.elapsedMs).toBeLessThan(DEADLINE_MS + GRACE_MS + BUSY_MS);
    expect((await stuck).status).toBe(504);
    // The place of the thread is filled, though it cannot die.
    const next = await eventually(
      "another thread takes orders",
      () => postOrder(port, order(`next-${performance.now()}`)),
      ({ status }) => status === 200,
    );
    expect(next.text).not.toContain("canceled");
    // What may have happened is compensated, and what never came to its thread is not.
    const compensated = (id: string) =>
      send(port, { path: `/order/${id}` }).then(({ text }) => JSON.parse(text).attempts[0].compensations ?? []);
    const steps = await eventually(
      "the stuck order is compensated",
      () => compensated("native-call"),
      (all) => all.length > 0 && all.every(({ status }: { status: string }) => status === "done"),
    );
    expect(steps.map(({ step }: { step: string }) => step)).toContain("payment");
    expect(await compensated("innocent")).toEqual([]);
    const { replaced } = await idle(adminPort);
    expect(replaced).toBe(1);
    server.signal("SIGTERM");
    // No order is in flight, but the call still is.
    expect(await endOf(server)).toBeLessThan(END_MS + BUSY_MS);
  },
);

withSleep("SIGTERM ends the process in time though an order in flight is in such a call", { timeout: 90_000 }, async () => {
  await using server = new ChildServer({ ...SETTINGS, ORDER_TIMEOUT_MS: String(FOR_EVER_MS) }, COMMAND);
  const { port, adminPort } = await server.ports();
  const stuck = postOrder(port, alone("native-call"));
  await eventually(
    "the call has begun",
    () => threadsPage(adminPort),
    ({ running }) => running === 1,
  );
  server.signal("SIGTERM");
  const endedMs = await endOf(server);
  // It had been given all the time that there was.
  expect(endedMs).toBeGreaterThanOrEqual(SHUTDOWN_MS - EARLY_MS);
  expect(endedMs).toBeLessThan(SHUTDOWN_MS + END_MS + BUSY_MS);
  expect(await stuck).toMatchObject({ status: 408, json: { error: { kind: "canceled" } } });
});

withSleep("a second SIGTERM ends it at once, and the first does not", { timeout: 90_000 }, async () => {
  const patient = { ORDER_TIMEOUT_MS: String(FOR_EVER_MS), SHUTDOWN_TIMEOUT_MS: String(FOR_EVER_MS) };
  await using server = new ChildServer({ ...SETTINGS, ...patient }, COMMAND);
  const { port, adminPort } = await server.ports();
  let answered = false;
  const stuck = postOrder(port, alone("native-call")).finally(() => (answered = true));
  await eventually(
    "the call has begun",
    () => threadsPage(adminPort),
    ({ running }) => running === 1,
  );
  server.signal("SIGTERM");
  // Longer than the grace and the end would take.
  await pause(GRACE_MS + END_MS);
  expect([answered, (await threadsPage(adminPort)).running]).toEqual([false, 1]);
  server.signal("SIGTERM");
  expect(await endOf(server)).toBeLessThan(GRACE_MS + END_MS + BUSY_MS);
  expect(await stuck).toMatchObject({ status: 408, json: { error: { kind: "canceled" } } });
});

test("what a step posts on its thread's common port changes nothing", { timeout: 60_000 }, async () => {
  await using server = new ChildServer(SETTINGS, COMMAND);
  const { port, adminPort } = await server.ports();
  const answer = await postOrder(port, order("posts"));
  expect(answer.status).toBe(200);
  expect((await postOrder(port, order("after"))).status).toBe(200);
  const { replaced, threads } = await idle(adminPort);
  expect([replaced, threads.filter(({ pool }) => pool === "shared").length]).toEqual([0, 1]);
  server.signal("SIGTERM");
  expect(await server.exited).toEqual({ code: 0, signal: null });
});

test("a failure that is none of a step's is a bug of the step, whatever its data: the order fails as internal", {
  timeout: 60_000,
}, async () => {
  await using server = new ChildServer(SETTINGS, COMMAND);
  const { port, adminPort } = await server.ports();
  for (const id of Object.keys(FAILURES)) {
    const { status, json } = await postOrder(port, order(id));
    expect([id, status, json.error?.kind]).toEqual([id, 500, "internal"]);
  }
  expect((await postOrder(port, order("after"))).status).toBe(200);
  const { replaced } = await idle(adminPort);
  expect(replaced).toBe(0);
  server.signal("SIGTERM");
  expect(await server.exited).toEqual({ code: 0, signal: null });
});
