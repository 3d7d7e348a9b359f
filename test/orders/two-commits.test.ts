import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { balance } from "../../load/stand-in/balance.ts";
import { type StandIn, startStandIn } from "../../load/stand-in/stand-in.ts";
import { Journal } from "../../src/journal/journal.ts";
import { perStepSetting, STEPS } from "../../src/orders/steps.ts";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { postOrder, type Received, send } from "../support/http-client.ts";
import { startService } from "../support/service.ts";

const ORDER = { order_id: "mine", amount: 1200 };
const KEYED = { headers: { "idempotency-key": "my-key" } };
const FOR_EVER_MS = 300_000;

let standIn: StandIn;
let directory: string;
let settings: Record<string, string>;
let asked: string[];
let hangs: boolean;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "two-commits-"));
  asked = [];
  hangs = false;
  standIn = await startStandIn({
    // The vendor refuses the first attempt.
    faultModeOf({ step, action, key }) {
      asked.push(`${action} ${step}`);
      if (action === "compensate") return hangs ? { type: "answer", slowMs: FOR_EVER_MS } : undefined;
      return step === "vendor" && key.includes(":1:") ? { type: "refuse" } : undefined;
    },
  });
  settings = { JOURNAL: join(directory, "orders.db"), ...perStepSetting("URL", () => standIn.url), ORDER_TIMEOUT_MS: String(FOR_EVER_MS) };
});

afterEach(async () => {
  vi.restoreAllMocks();
  await standIn.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Calls of the journal wait. Returns what lets them go on, and how many have come. */
function hold(write: "accept" | "answer"): { release: () => void; count: () => number } {
  const gate = Promise.withResolvers<void>();
  const original = Journal.prototype[write] as (...values: unknown[]) => Promise<never>;
  let count = 0;
  vi.spyOn(Journal.prototype, write).mockImplementation(async function (this: Journal, ...values: unknown[]) {
    count++;
    await gate.promise;
    return original.apply(this, values);
  });
  return { release: gate.resolve, count: () => count };
}

const view = async (port: number) => (await send(port, { path: "/order/mine" })).json;
const isCompensated = ({ attempts }: Awaited<ReturnType<typeof view>>) =>
  attempts[0].compensations.every(({ status }: { status: string }) => status === "done");

test("between the failure and its answer the same key waits for that answer, another body is a mismatch, another amount a conflict", async () => {
  await using running = await startService(settings);
  const { port, service } = running;
  const { release, count } = hold("answer");
  const first = postOrder(port, ORDER, KEYED);
  await eventually("the answer to be stored", () => count() === 1);
  const startedBefore = asked.length;
  const waiting: Promise<Received>[] = [postOrder(port, ORDER, KEYED), postOrder(port, ORDER), postOrder(port, ORDER, KEYED)];
  await eventually("them to wait", () => service.orderService.inFlight === 1 + waiting.length);
  expect(await postOrder(port, { ...ORDER, amount: 7 }, KEYED)).toMatchObject({
    status: 422,
    json: { error: { kind: "idempotency_mismatch" } },
  });
  expect(await postOrder(port, { ...ORDER, order_id: "other" }, KEYED)).toMatchObject({ status: 422 });
  expect(await postOrder(port, { ...ORDER, amount: 7 })).toMatchObject({ status: 409, json: { error: { kind: "order_conflict" } } });
  // All this while nobody has an answer, and nothing was run again.
  expect([await Promise.race([first, ...waiting, "none"]), asked.length]).toEqual(["none", startedBefore]);
  release();
  const { status, text, headers } = await first;
  expect([status, headers["idempotent-replayed"]]).toEqual([503, undefined]);
  for (const answer of await Promise.all(waiting)) expect(answer).toMatchObject({ status, text });
  const later = await postOrder(port, ORDER, KEYED);
  expect(later).toMatchObject({ status, text });
  expect(later.headers["idempotent-replayed"]).toBe("true");
  expect(await postOrder(port, { ...ORDER, amount: 7 }, KEYED)).toMatchObject({ status: 422 });
  expect([asked.length, service.orderService.inFlight]).toEqual([startedBefore, 0]);
});

test.skipIf(process.platform === "win32")(
  "kill -9 between the two: what failed has failed for that reason, its key is free, and it is compensated once",
  async () => {
    hangs = true;
    {
      await using server = new ChildServer(settings);
      const { port } = await server.ports();
      const first = postOrder(port, ORDER, KEYED).then(
        () => "answered",
        () => "broken",
      );
      // Its rows are durable then, and its answer waits for this call.
      await eventually("a compensation", () => asked.some((call) => call.startsWith("compensate")));
      server.signal("SIGKILL");
      expect(await first).toBe("broken");
      await server.exited;
    }
    hangs = false;
    await using running = await startService(settings);
    const again = await postOrder(running.port, ORDER, KEYED);
    expect(again).toMatchObject({ status: 200, json: { status: "ok" } });
    expect(again.headers["idempotent-replayed"]).toBeUndefined();
    const { attempts } = await eventually("the first attempt to be compensated", () => view(running.port), isCompensated);
    expect(attempts).toMatchObject([{ status: "error", error: { kind: "vendor_unavailable" } }, { status: "ok" }]);
    // It was not the crash that ended it.
    expect(attempts[0]).not.toHaveProperty("cause");
    await standIn.quiet();
    expect(balance(standIn.ledger.snapshot(), [{ orderId: "mine", attempt: 2, ok: true, amount: 1200 }])).toEqual([]);
  },
);

test("an order that is being written down while a shutdown cancels asks no provider, and its key is free", async () => {
  {
    await using running = await startService(settings);
    const { release, count } = hold("accept");
    const answer = postOrder(running.port, ORDER, KEYED);
    await eventually("the order to be written down", () => count() === 1);
    const stopped = running.stop();
    release();
    expect(await answer).toMatchObject({ status: 408, json: { error: { kind: "canceled" } } });
    expect((await answer).json.steps).toMatchObject(STEPS.map(() => ({ status: "canceled", detail: "shutdown" })));
    await stopped;
    expect([asked, standIn.connections.accepted]).toEqual([[], 0]);
  }
  vi.restoreAllMocks();
  await using running = await startService(settings);
  expect((await view(running.port)).attempts).toMatchObject([{ attempt: 1, status: "error", compensations: [] }]);
  expect(await postOrder(running.port, ORDER, KEYED)).toMatchObject({ status: 200 });
  expect(asked.toSorted()).toEqual(STEPS.map((step) => `perform ${step}`).toSorted());
});

test("an order that failed by itself holds its key, though a shutdown came before its answer was sent", async () => {
  {
    await using running = await startService({ ...settings, COMPENSATION_TIMEOUT_MS: String(FOR_EVER_MS) });
    hangs = true;
    const answer = postOrder(running.port, ORDER, KEYED);
    await eventually("a compensation", () => asked.some((call) => call.startsWith("compensate")));
    const stopped = running.stop();
    expect(await answer).toMatchObject({ status: 503, json: { error: { kind: "vendor_unavailable" } } });
    await stopped;
  }
  hangs = false;
  await using running = await startService(settings);
  const again = await postOrder(running.port, ORDER, KEYED);
  expect(again).toMatchObject({ status: 503, json: { error: { kind: "vendor_unavailable" } } });
  expect(again.headers["idempotent-replayed"]).toBe("true");
  await eventually("it to be compensated", () => view(running.port), isCompensated);
});
