import { expect, test } from "vitest";
import { Capacity } from "../../src/concurrency/capacity.ts";
import { monotonicMs } from "../../src/concurrency/clock.ts";
import { OrderDesk } from "../../src/orders/order-desk.ts";
import {
  type FinishRequest,
  JournalUnavailable,
  type OrderJournal,
  type OrderRecord,
  OutcomeUnknown,
  type StoredAnswer,
} from "../../src/orders/order-journal.ts";
import { Pipeline } from "../../src/orders/pipeline.ts";
import type { StepRun, StepRunner } from "../../src/orders/step-runner.ts";
import { Undoing } from "../../src/orders/undoing.ts";
import { eventually } from "../support/eventually.ts";

/** A journal that fails as it is told to, and a runner that notes what ran. */
function rig() {
  const state = {
    full: false,
    /** Errors of the next calls, before they have an effect. */
    acceptErrors: [] as Error[],
    finishErrors: [] as Error[],
    record: undefined as OrderRecord | undefined,
    finds: 0,
    onFind: () => {},
    /** What a later `finish` finds stored already. */
    overrule: undefined as StoredAnswer | undefined,
    hasRoom: true,
  };
  const ran: string[] = [];
  const faults: string[] = [];
  const finished: FinishRequest[] = [];
  const write = <T>(value: T): Promise<T> => (state.full ? Promise.reject(new JournalUnavailable("disk full")) : Promise.resolve(value));
  const journal: OrderJournal = {
    accept: () => {
      const error = state.acceptErrors.shift();
      return error === undefined ? write({ type: "accepted", attempt: 1 }) : Promise.reject(error);
    },
    finish: async (request) => {
      await write(undefined);
      const error = state.finishErrors.shift();
      if (error !== undefined) throw error;
      finished.push(request);
      return state.overrule ?? request.answer;
    },
    undoTried: () => write(undefined),
    find: () => {
      state.finds++;
      state.onFind();
      return Promise.resolve(state.record);
    },
    closeInterrupted: () => write(0),
    pendingUndos: () => write([]),
    expireKeys: () => write(0),
  };
  const runner: StepRunner = {
    open: () => {
      if (!state.hasRoom) throw new Error("no room");
      return openRun();
    },
  };
  const openRun = (): StepRun => ({
    cause: undefined,
    async run({ name, action }) {
      ran.push(`${action} ${name}`);
      return { outcome: { status: "ok" }, endedAtMs: monotonicMs() };
    },
    close() {},
  });
  const capacities = { payment: new Capacity(1), vendor: new Capacity(1), courier: new Capacity(1) };
  const onFault = (message: string) => void faults.push(message);
  const undoing = new Undoing({ runner, journal, onFault });
  const pipeline = new Pipeline(runner, capacities);
  const desk = new OrderDesk({ pipeline, journal, undoing, orderTimeoutMs: 60_000, maxInFlight: 10, onFault });
  desk.open();
  const undone = () => ran.filter((what) => what.startsWith("undo")).toSorted();
  return { state, ran, undone, faults, finished, desk, undoing };
}

const ALL_UNDONE = ["undo courier", "undo payment", "undo vendor"];
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
  const { state, undone, finished, desk, undoing } = rig();
  const placing = desk.place(ORDER);
  const { answer } = await placing;
  state.full = true;
  const { error, json } = await answer;
  expect(error).toBe("internal");
  // Word for word what the next start would write of it.
  const steps = ["payment", "vendor", "courier"].map((name) => ({ name, status: "error", duration_ms: 0, detail: "internal" }));
  expect(json).toBe(JSON.stringify({ status: "error", order_id: "o", steps, error: { kind: "internal", message: "order failed" } }));
  expect(undone()).toEqual(ALL_UNDONE);
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

test("while nobody knows whether a placed order is stored it is neither told nor undone; the journal's word counts", async () => {
  const { state, undone, faults, finished, desk } = rig();
  state.finishErrors = [new OutcomeUnknown("thread died"), new JournalUnavailable("disk full"), new OutcomeUnknown("again")];
  const { answer } = await desk.place(ORDER);
  let told = false;
  void answer.then(() => (told = true));
  await eventually("the second try", () => state.finishErrors.length < 2);
  expect(told).toBe(false);
  expect(desk.inFlight).toBe(1);
  expect(await answer).not.toHaveProperty("error");
  expect(finished).toHaveLength(1);
  expect(undone()).toEqual([]);
  expect(faults).toEqual(["whether an outcome is stored is not known yet"]);
  expect(desk.inFlight).toBe(0);
});

test("a journal that comes back and finds an outcome wrong has not stored it before either: the order is undone", async () => {
  const { state, undone, finished, desk, undoing } = rig();
  state.finishErrors = [new OutcomeUnknown("thread died"), new Error("a bug")];
  const { answer } = await desk.place(ORDER);
  expect((await answer).error).toBe("internal");
  expect(undone()).toEqual(ALL_UNDONE);
  await desk.drain();
  expect(finished).toHaveLength(1);
  await undoing.stop();
});

test("an outcome that can never be stored leaks no order", async () => {
  const { state, undone, faults, finished, desk, undoing } = rig();
  state.finishErrors = [new Error("a bug"), new Error("a bug")];
  const { answer } = await desk.place(ORDER);
  expect((await answer).error).toBe("internal");
  expect(undone()).toEqual(ALL_UNDONE);
  await desk.drain();
  expect(desk.inFlight).toBe(0);
  expect(finished).toEqual([]);
  expect(faults).toContain("an outcome can never be stored; the next start closes its order");
  await undoing.stop();
});

test("a shutdown ends the wait for an outcome that nobody knows: no answer, nothing undone", async () => {
  const { state, undone, finished, desk } = rig();
  state.finishErrors = [new OutcomeUnknown("thread died")];
  const { answer } = await desk.place(ORDER);
  const settled = answer.catch((error: unknown) => error);
  await eventually("the first try", () => state.finishErrors.length === 0);
  state.full = true;
  const drained = desk.drain();
  desk.cancelAll("shutdown");
  expect(await settled).toBeInstanceOf(OutcomeUnknown);
  await drained;
  expect(undone()).toEqual([]);
  expect(finished).toEqual([]);
});

test("an accept of which nobody knows is refused, and the attempt that it left open is closed as failed", async () => {
  const { state, ran, finished, desk } = rig();
  state.acceptErrors = [new OutcomeUnknown("thread died")];
  state.record = { orderId: "o", amount: 1, attempts: [{ attempt: 3, amount: 1, acceptedMs: 0, undos: [] }] };
  await expect(desk.place(ORDER)).rejects.toMatchObject({ kind: "internal" });
  expect(desk.inFlight).toBe(0);
  await eventually("its end", () => finished.length === 1);
  expect(finished[0]).toMatchObject({ orderId: "o", attempt: 3, answer: { error: "internal" }, undos: [] });
  expect(ran).toEqual([]);
});

test.each([
  ["had no effect", undefined],
  ["found an order that has ended", { atMs: 0, interrupted: false, answer: { status: "ok" as const, order_id: "o", steps: [] } }],
])("an accept of which nobody knows and that %s leaves nothing to be closed", async (_, ended) => {
  const { state, finished, desk } = rig();
  state.acceptErrors = [new OutcomeUnknown("thread died")];
  if (ended !== undefined)
    state.record = { orderId: "o", amount: 1, attempts: [{ attempt: 1, amount: 1, acceptedMs: 0, undos: [], ended }] };
  await expect(desk.place(ORDER)).rejects.toMatchObject({ kind: "internal" });
  await eventually("a look", () => state.finds === 1);
  await new Promise((resolve) => setImmediate(resolve));
  expect(finished).toEqual([]);
});

test("an order for which the threads have no room fails, is stored as failed and leaves no timer behind", async () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const { state, faults, finished, desk } = rig();
  const before = timers();
  state.hasRoom = false;
  const { answer } = await desk.place(ORDER);
  expect((await answer).error).toBe("internal");
  expect(finished[0]).toMatchObject({ answer: { error: "internal" }, undos: [] });
  expect(faults).toEqual(["an order could not be run to its end"]);
  expect(desk.inFlight).toBe(0);
  expect(timers()).toBe(before);
});

test("an order that was closed as failed while it ran is undone: the stored answer counts", async () => {
  const { state, undone, faults, desk, undoing } = rig();
  state.overrule = { error: "internal", json: "{}" };
  const { answer } = await desk.place(ORDER);
  expect(await answer).toEqual({ error: "internal", json: "{}" });
  await eventually("the undos", () => undone().length === 3);
  expect(undone()).toEqual(ALL_UNDONE);
  expect(faults).toEqual(["a placed order had been closed as failed; it is undone"]);
  await undoing.stop();
});

test("a stop ends the closing of what an accept may have left open: the next start does it", async () => {
  const { state, finished, desk } = rig();
  state.acceptErrors = [new OutcomeUnknown("thread died")];
  state.record = { orderId: "o", amount: 1, attempts: [{ attempt: 1, amount: 1, acceptedMs: 0, undos: [] }] };
  await expect(desk.place(ORDER)).rejects.toMatchObject({ kind: "internal" });
  state.onFind = () => desk.cancelAll("shutdown");
  await eventually("a look", () => state.finds === 1);
  await new Promise((resolve) => setImmediate(resolve));
  expect(finished).toEqual([]);

  const other = rig();
  other.state.acceptErrors = [new OutcomeUnknown("thread died")];
  await expect(other.desk.place(ORDER)).rejects.toMatchObject({ kind: "internal" });
  other.desk.cancelAll("shutdown");
  await new Promise((resolve) => setImmediate(resolve));
  expect(other.state.finds).toBe(0);
});
