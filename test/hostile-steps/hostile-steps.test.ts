import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { postOrder, send, threadsPage } from "../support/http-client.ts";

const SHUTDOWN_MS = 5_000;
const SETTINGS = { THREADS: "1", CPU_THREADS: "1", ORDER_TIMEOUT_MS: "1000", SHUTDOWN_TIMEOUT_MS: String(SHUTDOWN_MS) };
const COMMAND = [process.execPath, "test/hostile-steps/server.ts"];

const order = (order_id: string) => ({ order_id, amount: 1200 });
const idle = (adminPort: number) =>
  eventually(
    "nothing runs",
    () => threadsPage(adminPort),
    ({ running, started, finished }) => running === 0 && started > 0 && started === finished,
  );

// `sleep` is the native call.
test.skipIf(!existsSync("/bin/sleep"))(
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
    // Its only thread is stuck: it ends at its own deadline.
    expect(innocent.status).toBe(504);
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
    server.process.kill("SIGTERM");
    expect(await server.exited).toEqual({ code: 0, signal: null });
  },
);

test("what a step posts on its thread's common port changes nothing", { timeout: 60_000 }, async () => {
  await using server = new ChildServer(SETTINGS, COMMAND);
  const { port, adminPort } = await server.ports();
  const answer = await postOrder(port, order("posts"));
  expect(answer.status).toBe(200);
  expect((await postOrder(port, order("after"))).status).toBe(200);
  const { replaced, threads } = await idle(adminPort);
  expect([replaced, threads.filter(({ pool }) => pool === "shared").length]).toEqual([0, 1]);
  server.process.kill("SIGTERM");
  expect(await server.exited).toEqual({ code: 0, signal: null });
});
