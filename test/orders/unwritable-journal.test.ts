import { expect, test } from "vitest";
import { Capacity } from "../../src/concurrency/capacity.ts";
import { monotonicMs } from "../../src/concurrency/clock.ts";
import { OrderDesk } from "../../src/orders/order-desk.ts";
import { type FinishRequest, JournalUnavailable, type OrderJournal } from "../../src/orders/order-journal.ts";
import { Pipeline } from "../../src/orders/pipeline.ts";
import type { StepRunner } from "../../src/orders/step-runner.ts";
import { Undoing } from "../../src/orders/undoing.ts";
import { eventually } from "../support/eventually.ts";

/** A journal on a disk that is full when it is told to be, and a runner that notes what ran. */
function rig() {
  const state = { full: false };
  const ran: string[] = [];
  const finished: FinishRequest[] = [];
  const write = <T>(value: T): Promise<T> => (state.full ? Promise.reject(new JournalUnavailable("disk full")) : Promise.resolve(value));
  const journal: OrderJournal = {
    accept: () => write({ type: "accepted", attempt: 1 }),
    finish: async (request) => {
      await write(undefined);
      finished.push(request);
      return request.answer;
    },
    undoTried: () => write(undefined),
    find: () => Promise.resolve(undefined),
    closeInterrupted: () => write(0),
    pendingUndos: () => write([]),
    expireKeys: () => write(0),
  };
  const runner: StepRunner = {
    open: () => ({
      async run({ name, action }) {
        ran.push(`${action} ${name}`);
        return { outcome: { status: "ok" }, endedAtMs: monotonicMs() };
      },
      close() {},
    }),
  };
  const capacities = { payment: new Capacity(1), vendor: new Capacity(1), courier: new Capacity(1) };
  const undoing = new Undoing({ runner, journal });
  const desk = new OrderDesk({ pipeline: new Pipeline(runner, capacities), journal, undoing, orderTimeoutMs: 1000, maxInFlight: 10 });
  desk.open();
  return { state, ran, finished, desk, undoing };
}

const ORDER = { order: { orderId: "o", amount: 1 } };

test("an order that cannot be written down is refused before any step runs", async () => {
  const { state, ran, desk } = rig();
  state.full = true;
  await expect(desk.place(ORDER)).rejects.toMatchObject({ kind: "internal" });
  expect(ran).toEqual([]);
  expect(desk.inFlight).toBe(0);
  state.full = false;
  const { answer } = await desk.place(ORDER);
  expect(await answer).not.toHaveProperty("error");
  expect(ran).toHaveLength(3);
});

test("an outcome that cannot be stored is not told: the order fails, is undone, and that is stored when it can be", async () => {
  const { state, ran, finished, desk, undoing } = rig();
  const placing = desk.place(ORDER);
  const { answer } = await placing;
  state.full = true;
  const { error, json } = await answer;
  expect(error).toBe("internal");
  expect(JSON.parse(json)).toMatchObject({ status: "error", error: { kind: "internal" } });
  expect(ran.filter((what) => what.startsWith("undo")).toSorted()).toEqual(["undo courier", "undo payment", "undo vendor"]);
  // Until it is stored the attempt is open in the journal, so the order counts as in flight.
  expect(finished).toEqual([]);
  expect(desk.inFlight).toBe(1);
  state.full = false;
  await eventually(
    "the failure to be stored",
    () => finished.length,
    (count) => count === 1,
  );
  expect(finished[0]?.answer).toEqual({ error: "internal", json });
  expect(finished[0]?.undos.every(({ done }) => done)).toBe(true);
  await desk.drain();
  expect(desk.inFlight).toBe(0);
  await undoing.stop();
});

test("a shutdown gives up on storing: the next start closes and undoes the attempt", async () => {
  const { state, finished, desk } = rig();
  const { answer } = await desk.place(ORDER);
  state.full = true;
  expect((await answer).error).toBe("internal");
  const drained = desk.drain();
  desk.cancelAll("shutdown");
  await drained;
  expect(finished).toEqual([]);
  expect(desk.inFlight).toBe(0);
});
