import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Journal } from "../../src/journal/journal.ts";
import { STEPS } from "../../src/orders/steps.ts";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { postOrder } from "../support/http-client.ts";
import { startService } from "../support/service.ts";
import { ended, FOR_EVER_MS, KEYED, ORDER, Outliving } from "./outliving.ts";

let at: Outliving;
let asked: string[];
let hangs: boolean;

beforeEach(async () => {
  asked = [];
  hangs = false;
  // The vendor refuses the first attempt.
  at = await Outliving.open(({ step, action, key }) => {
    asked.push(`${action} ${step}`);
    if (action === "compensate") return hangs ? { type: "answer", slowMs: FOR_EVER_MS } : undefined;
    return step === "vendor" && key.includes(":1:") ? { type: "refuse" } : undefined;
  });
});

afterEach(async () => {
  vi.restoreAllMocks();
  await at[Symbol.asyncDispose]();
});

const aCompensation = () => eventually("a compensation", () => asked.some((call) => call.startsWith("compensate")));

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

test("between the failure and its answer the same key waits for that answer, another body is a mismatch, another amount a conflict", async () => {
  await using running = await startService(at.settings);
  const { port, service } = running;
  const { release, count } = hold("answer");
  const first = at.place(port);
  await eventually("the answer to be stored", () => count() === 1);
  const startedBefore = asked.length;
  const waiting = [at.place(port), postOrder(port, ORDER), at.place(port)];
  await eventually("them to wait", () => service.orderService.inFlight === 1 + waiting.length);
  const mismatch = { status: 422, json: { error: { kind: "idempotency_mismatch" } } };
  expect(await postOrder(port, { ...ORDER, amount: 7 }, KEYED)).toMatchObject(mismatch);
  expect(await postOrder(port, { ...ORDER, order_id: "other" }, KEYED)).toMatchObject(mismatch);
  expect(await postOrder(port, { ...ORDER, amount: 7 })).toMatchObject({ status: 409, json: { error: { kind: "order_conflict" } } });
  // All this while nobody has an answer, and nothing was run again.
  expect([await Promise.race([first, ...waiting, "none"]), asked.length]).toEqual(["none", startedBefore]);
  release();
  const { status, text, headers } = await first;
  expect([status, headers["idempotent-replayed"]]).toEqual([503, undefined]);
  for (const answer of await Promise.all(waiting)) expect(answer).toMatchObject({ status, text });
  const later = await at.place(port);
  expect(later).toMatchObject({ status, text });
  expect(later.headers["idempotent-replayed"]).toBe("true");
  expect(await postOrder(port, { ...ORDER, amount: 7 }, KEYED)).toMatchObject(mismatch);
  expect([asked.length, service.orderService.inFlight]).toEqual([startedBefore, 0]);
});

test.skipIf(process.platform === "win32")(
  "kill -9 between the two: what failed has failed for that reason, its key is free, and it is compensated once",
  async () => {
    hangs = true;
    {
      await using server = new ChildServer(at.settings);
      const { port } = await server.ports();
      const first = ended(at.place(port));
      // Its rows are durable then, and its answer waits for this call.
      await aCompensation();
      server.signal("SIGKILL");
      expect(await first).toBe("closed");
      await server.exited;
    }
    hangs = false;
    await using running = await startService(at.settings);
    const again = await at.place(running.port);
    expect(again).toMatchObject({ status: 200, json: { status: "ok" } });
    expect(again.headers["idempotent-replayed"]).toBeUndefined();
    const attempts = await at.compensated(running.port);
    expect(attempts).toMatchObject([{ status: "error", error: { kind: "vendor_unavailable" } }, { status: "ok" }]);
    // It was not the crash that ended it.
    expect(attempts[0]).not.toHaveProperty("cause");
    await at.expectBalance(2);
  },
);

test("an order that is being written down while a shutdown cancels asks no provider, and its key is free", async () => {
  {
    await using running = await startService(at.settings);
    const { release, count } = hold("accept");
    const answer = at.place(running.port);
    await eventually("the order to be written down", () => count() === 1);
    const stopped = running.stop();
    release();
    expect(await answer).toMatchObject({ status: 408, json: { error: { kind: "canceled" } } });
    expect((await answer).json.steps).toMatchObject(STEPS.map(() => ({ status: "canceled", detail: "shutdown" })));
    await stopped;
    expect([asked, at.standIn.connections.accepted]).toEqual([[], 0]);
  }
  vi.restoreAllMocks();
  await using running = await startService(at.settings);
  expect((await at.view(running.port)).attempts).toMatchObject([{ attempt: 1, status: "error", compensations: [] }]);
  expect(await at.place(running.port)).toMatchObject({ status: 200 });
  expect(asked.toSorted()).toEqual(STEPS.map((step) => `perform ${step}`).toSorted());
});

test("an order that failed by itself holds its key, though a shutdown came before its answer was sent", async () => {
  {
    await using running = await startService({ ...at.settings, COMPENSATION_TIMEOUT_MS: String(FOR_EVER_MS) });
    hangs = true;
    const answer = at.place(running.port);
    await aCompensation();
    const stopped = running.stop();
    expect(await answer).toMatchObject({ status: 503, json: { error: { kind: "vendor_unavailable" } } });
    await stopped;
  }
  hangs = false;
  await using running = await startService(at.settings);
  const again = await at.place(running.port);
  expect(again).toMatchObject({ status: 503, json: { error: { kind: "vendor_unavailable" } } });
  expect(again.headers["idempotent-replayed"]).toBe("true");
  await at.compensated(running.port);
});
