import { expect, test } from "vitest";
import type { Operation, Result } from "../../src/journal/protocol.ts";
import { COMPENSATION_STATES, type CompensationStatus, TRANSITIONS, type Transition } from "../../src/orders/compensation-state.ts";
import { heldCompensations, hold } from "../../workers/journal/tables/held.ts";
import { Writer } from "../../workers/journal/writer.ts";
import { NOW } from "./journal-fixture.ts";
import { temporaryFile } from "./temporary-file.ts";

const ROW = "SELECT state, tries, next_try_ms, last_answer, ended_ms, note FROM compensations WHERE id = 1";
const LATER = NOW + 500;

/** A journal with one failed attempt and its only compensation, the row 1. */
class OneRow implements Disposable {
  readonly writer = new Writer({ file: temporaryFile(), role: "writer", events: true });

  constructor(state: CompensationStatus) {
    this.run(["accept", "a", 100, NOW]);
    this.run(["finish", "a", 1, "timeout", "{}", 0, NOW, [["payment", false]]]);
    this.run(["answer", "a", 1, "{}", 1, NOW, []]);
    if (state === "trying" || state === "done") this.run(["takeCompensation", 1, NOW, "me"]);
    if (state === "done") this.run(["compensationTried", 1, null, null, NOW]);
    if (state === "settled") this.run(["settleCompensation", 1, "by transfer", NOW, "me"]);
    if (state === "held") hold(this.writer.db);
    expect(this.row).toMatchObject({ state });
  }

  run(operation: Operation): Result {
    const reply = this.writer.run([operation]);
    if (reply.type !== "committed" || reply.faults !== undefined) throw new Error(JSON.stringify(reply));
    return reply.results[0] as Result;
  }

  get row(): Record<string, unknown> {
    return { ...this.writer.db.prepare(ROW).get() };
  }

  get events(): string[] {
    const found = this.writer.db.prepare("SELECT payload FROM outbox ORDER BY seq").all();
    return found.map(({ payload }) => JSON.parse(String(payload)).type);
  }

  [Symbol.dispose](): void {
    this.writer.close();
  }
}

/** What makes each transition, what it returns, and what it leaves on the row. `late`: on a row that it does not change. */
const ACTIONS: Readonly<Record<Transition, { run: (at: OneRow) => unknown; leaves: object; late?: string }>> = {
  taken: { run: (at) => at.run(["takeCompensation", 1, NOW, "me"]), leaves: { tries: 0, next_try_ms: null, ended_ms: null } },
  done: {
    run: (at) => at.run(["compensationTried", 1, null, null, LATER]),
    leaves: { tries: 1, next_try_ms: null, ended_ms: LATER },
    late: "late: done",
  },
  failed: {
    run: (at) => at.run(["compensationTried", 1, LATER + 200, "HTTP 500", LATER]),
    leaves: { tries: 1, next_try_ms: LATER + 200, last_answer: "HTTP 500", ended_ms: null },
    late: "late: HTTP 500",
  },
  interrupted: { run: (at) => at.run(["closeInterrupted", 10, LATER]), leaves: { tries: 0, next_try_ms: LATER, ended_ms: null } },
  restored: { run: (at) => hold(at.writer.db), leaves: { tries: 0, next_try_ms: null, ended_ms: null } },
  confirmed: { run: (at) => heldCompensations(at.writer.db).confirm(1, LATER), leaves: { tries: 0, next_try_ms: LATER, ended_ms: null } },
  settled: {
    run: (at) => at.run(["settleCompensation", 1, "by hand", LATER, "me"]),
    leaves: { tries: 0, next_try_ms: null, ended_ms: LATER, note: "by hand" },
  },
};

const PAIRS = COMPENSATION_STATES.flatMap((state) => (Object.keys(TRANSITIONS) as Transition[]).map((name) => ({ state, name })));

test.each(PAIRS)("a row that is $state, and what makes a row $name", ({ state, name }) => {
  const { from, to } = TRANSITIONS[name] as { from: readonly CompensationStatus[]; to: CompensationStatus };
  using at = new OneRow(state);
  const [before, eventsBefore] = [at.row, at.events];
  const { run, leaves, late } = ACTIONS[name];
  const came = run(at);
  if (from.includes(state)) {
    expect(at.row).toMatchObject({ ...leaves, state: to });
    expect(at.events).toEqual(to === "done" || to === "settled" ? ["order.failed", "order.compensated"] : ["order.failed"]);
  } else {
    // A late answer is on record and changes nothing else.
    expect(at.row).toEqual(late === undefined ? before : { ...before, last_answer: late });
    expect(at.events).toEqual(eventsBefore);
  }
  if (name === "done" || name === "failed") expect(came).toBe(from.includes(state) ? to : state);
  if (name === "taken") expect(came).toMatchObject({ id: 1, status: state });
  if (name === "settled") expect(came).toMatchObject({ id: 1, status: from.includes(state) ? to : state });
});

test("every state is reached, and only what is done or settled is never left", () => {
  const all = Object.values(TRANSITIONS) as { from: readonly CompensationStatus[]; to: CompensationStatus }[];
  expect(COMPENSATION_STATES.filter((state) => !all.some(({ to }) => to === state))).toEqual([]);
  expect(COMPENSATION_STATES.filter((state) => !all.some(({ from }) => from.includes(state)))).toEqual(["done", "settled"]);
});

test("what is asked of a row that is not there is a fault of the caller, or nothing", () => {
  using at = new OneRow("pending");
  const before = at.row;
  expect(() => at.run(["compensationTried", 2, null, null, NOW])).toThrow("there is no compensation 2");
  expect(at.run(["takeCompensation", 2, NOW, "me"])).toBeNull();
  expect(at.run(["settleCompensation", 2, "by hand", NOW, "me"])).toBeNull();
  expect(at.row).toEqual(before);
  expect(at.events).toEqual(["order.failed"]);
});
