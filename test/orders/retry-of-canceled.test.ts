import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { balance } from "../../load/stand-in/balance.ts";
import { type StandIn, startStandIn } from "../../load/stand-in/stand-in.ts";
import { perStepSetting, STEPS } from "../../src/orders/steps.ts";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { postOrder, send } from "../support/http-client.ts";
import { startService } from "../support/service.ts";
import { OrderServiceFixture } from "./order-service-fixture.ts";

const FOR_EVER_MS = 300_000;
const ORDER = { order_id: "mine", amount: 1200 };
const KEYED = { headers: { "idempotency-key": "my-key" } };

let standIn: StandIn;
let directory: string;
let settings: Record<string, string>;
let hangs: number;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "retry-"));
  hangs = 0;
  standIn = await startStandIn({
    // The vendor never answers the first attempt.
    faultModeOf({ step, action, key }) {
      if (step !== "vendor" || action !== "perform" || !key.includes(":1:")) return undefined;
      hangs++;
      return { type: "answer", slowMs: FOR_EVER_MS };
    },
  });
  const { url } = standIn;
  settings = {
    JOURNAL: join(directory, "orders.db"),
    ...perStepSetting("URL", () => url),
    ORDER_TIMEOUT_MS: String(FOR_EVER_MS),
  };
});

afterEach(async () => {
  await standIn.close();
  rmSync(directory, { recursive: true, force: true });
});

/** The first attempt is under way: paid, assigned, and the vendor hangs. */
async function firstAttemptHangs(): Promise<void> {
  await eventually("the first attempt to hang", () => {
    const { charges, assignments } = standIn.ledger.snapshot().counts;
    return charges === 1 && assignments === 1 && hangs === 1;
  });
}

/** The retry is a new attempt, which is what everybody gets from now on; the first one is compensated. */
async function expectRealAnswer(port: number): Promise<void> {
  const answer = await postOrder(port, ORDER, KEYED);
  expect(answer).toMatchObject({ status: 200, json: { status: "ok" } });
  expect(answer.headers["idempotent-replayed"]).toBeUndefined();
  const again = await postOrder(port, ORDER, KEYED);
  expect(again).toMatchObject({ status: 200, text: answer.text });
  expect(again.headers["idempotent-replayed"]).toBe("true");
  const view = await eventually(
    "the first attempt to be compensated",
    async () => (await send(port, { path: "/order/mine" })).json,
    ({ attempts }) => attempts[0].compensations.every(({ status }: { status: string }) => status === "done"),
    20_000,
  );
  expect(view.attempts.map(({ status }: { status: string }) => status)).toEqual(["error", "ok"]);
  expect(balance(standIn.ledger.snapshot(), [{ orderId: "mine", attempt: 2, ok: true, amount: 1200 }])).toEqual([]);
}

test("a client that timed out and asks again with its Idempotency-Key gets a real answer, not 408 for 24 hours", async () => {
  await using running = await startService(settings);
  const client = new AbortController();
  const first = postOrder(running.port, ORDER, { ...KEYED, signal: client.signal }).catch(() => "gave up");
  await firstAttemptHangs();
  client.abort();
  expect(await first).toBe("gave up");
  await expectRealAnswer(running.port);
});

test("so it does where the process was stopped in the middle and started again, though the first answer was 408", async () => {
  const stopped = await startService(settings);
  const first = postOrder(stopped.port, ORDER, KEYED);
  await firstAttemptHangs();
  await stopped.stop();
  expect(await first).toMatchObject({ status: 408, json: { error: { kind: "canceled" } } });
  await using running = await startService(settings);
  await expectRealAnswer(running.port);
});

test.skipIf(process.platform === "win32").each(["SIGTERM", "SIGKILL"] as const)(
  "so it does where %s ended the process in the middle",
  async (signal) => {
    {
      await using server = new ChildServer({ ...settings, SHUTDOWN_TIMEOUT_MS: "50" });
      const { port } = await server.ports();
      const first = postOrder(port, ORDER, KEYED).then(
        ({ status }) => status,
        () => "broken",
      );
      await firstAttemptHangs();
      server.signal(signal);
      expect(await first).toBe(signal === "SIGTERM" ? 408 : "broken");
      await server.exited;
    }
    await using running = await startService(settings);
    await expectRealAnswer(running.port);
  },
);

test("whoever asks, without a key too, before a canceled attempt is closed waits for that, and they share one new attempt", async () => {
  await using at = new OrderServiceFixture();
  const client = new AbortController();
  const first = await at.place("o", 1, client.signal);
  const gate = Promise.withResolvers<void>();
  at.journal.gates.answer = gate.promise;
  client.abort();
  await eventually("its compensations", () => at.steps("compensate").length === STEPS.length);
  let placed = 0;
  const waiting = [1, 2, 3].map(() => at.place().finally(() => placed++));
  await turn();
  expect([placed, at.orderService.inFlight, at.journal.answered.length]).toEqual([0, 4, 0]);
  expect(at.steps("perform", "o", 2)).toEqual([]);
  gate.resolve();
  const placements = await Promise.all(waiting);
  expect((await first.answer).error).toBe("canceled");
  expect(at.steps("perform", "o", 2)).toHaveLength(STEPS.length);
  at.end({ status: "ok" }, "o", 2);
  for (const { answer } of placements) expect(await answer).not.toHaveProperty("error");
  expect(at.steps("perform", "o", 3)).toEqual([]);
  expect(at.orderService.inFlight).toBe(0);
  // Nobody waited for the compensations of the first, which end in their own time.
  expect(at.journal.rows.map(({ status }) => status)).toEqual(STEPS.map(() => "trying"));
  for (const step of at.steps("compensate")) step.end({ status: "ok" });
  await eventually("them to be done", () => at.journal.rows.every(({ status }) => status === "done"));
});

test("one that asks while a canceled attempt ends well after all gets its stored answer", async () => {
  await using at = new OrderServiceFixture();
  for (const name of STEPS) at.runner.ignoringCancel.add(name);
  const client = new AbortController();
  const first = await at.place("o", 1, client.signal);
  client.abort();
  const second = at.place();
  await turn();
  at.end();
  const { answer, replayed } = await second;
  expect([replayed, (await answer).error]).toEqual([true, undefined]);
  expect(await answer).toEqual(await first.answer);
  expect(at.orderService.inFlight).toBe(0);
});

test("one that asks while an attempt that failed by itself is being compensated shares its answer", async () => {
  await using at = new OrderServiceFixture();
  const first = await at.place();
  const failed = { status: "failed", kind: "no_courier", effect: "none" } as const;
  at.steps("perform")[2]?.end(failed);
  await turn();
  const second = await at.place();
  for (const step of at.steps("compensate")) step.end({ status: "ok" });
  expect(await second.answer).toEqual(await first.answer);
  expect((await second.answer).error).toBe("no_courier");
});
