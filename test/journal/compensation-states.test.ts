import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PostgresStore } from "../../src/journal/postgres/postgres-store.ts";
import type { Operation, Result } from "../../src/journal/protocol.ts";
import { stateChange } from "../../src/journal/sql/state-change.ts";
import { COMPENSATION_STATES, type CompensationStatus, TRANSITIONS, type Transition } from "../../src/orders/compensation-state.ts";
import { hold } from "../../workers/journal/tables/restores.ts";
import { Writer } from "../../workers/journal/writer.ts";
import { connect } from "../postgres/queries/queries-fixture.ts";
import { JournalFixture, NOW } from "./journal-fixture.ts";
import { temporaryFile } from "./temporary-file.ts";

const LATER = NOW + 500;
const MISSING = 1_000_000;

/** A journal in SQL, with what a test does to it beside its operations. */
interface Store {
  run(operation: Operation): Promise<Result>;
  query(sql: string): Promise<Record<string, unknown>[]>;
  /** As a restore does. */
  hold(): Promise<unknown>;
  closeInterrupted(nowMs: number): Promise<unknown>;
  close(): Promise<unknown>;
}

const OPEN = {
  file: async (): Promise<Store> => {
    const writer = new Writer({ file: temporaryFile(), role: "writer", events: true });
    const run = async (operation: Operation) => {
      const reply = writer.run([operation]);
      if (reply.type !== "committed" || reply.faults !== undefined) throw new Error(JSON.stringify(reply));
      return reply.results[0] as Result;
    };
    return {
      run,
      query: async (sql) => writer.db.prepare(sql).all(),
      hold: async () => hold(writer.db),
      closeInterrupted: (nowMs) => run(["closeInterrupted", 10, nowMs]),
      close: async () => writer.close(),
    };
  },
  postgres: async (): Promise<Store> => {
    const fixture = await JournalFixture.open("postgres", { events: true });
    const client = await connect(fixture.file);
    return {
      run: (operation) => (fixture.journal.cluster as PostgresStore).request(operation),
      query: async (sql) => (await client.query(sql)).rows,
      hold: () => client.query(stateChange("restored", "next_try_ms = NULL, taken_by = NULL", "ended_ms IS NULL")),
      closeInterrupted: (nowMs) => fixture.closeInterrupted(10, nowMs),
      close: async () => {
        await client.end();
        await fixture[Symbol.asyncDispose]();
      },
    };
  },
};

let orders = 0;

/** A failed order with its only compensation. */
class OneRow {
  readonly store: Store;
  readonly orderId = `o${++orders}`;
  id = 0;

  private constructor(store: Store) {
    this.store = store;
  }

  static async make(store: Store, state: CompensationStatus): Promise<OneRow> {
    const made = new OneRow(store);
    const { orderId } = made;
    await store.run(["accept", orderId, 100, NOW]);
    [made.id = 0] = (await store.run(["finish", orderId, 1, "timeout", "{}", 0, NOW, [["payment", false]]])) as number[];
    await store.run(["answer", orderId, 1, "{}", 1, NOW, []]);
    if (state === "trying" || state === "done") await store.run(["takeCompensation", made.id, NOW, "me"]);
    if (state === "done") await store.run(["compensationTried", made.id, null, null, NOW]);
    if (state === "settled") await store.run(["settleCompensation", made.id, "by transfer", NOW, "me"]);
    if (state === "held") await store.hold();
    expect(await made.row()).toMatchObject({ state });
    return made;
  }

  async row(): Promise<Record<string, unknown>> {
    const found = await this.store.query(
      `SELECT state, tries, next_try_ms, last_answer, ended_ms, note FROM compensations WHERE id = ${this.id}`,
    );
    return { ...found[0] };
  }

  async events(): Promise<string[]> {
    const found = await this.store.query(`SELECT payload FROM outbox WHERE order_id = '${this.orderId}' ORDER BY seq`);
    return found.map(({ payload }) => JSON.parse(String(payload)).type);
  }
}

/** What makes each transition, what it leaves on the row, and what a late answer is there. */
const ACTIONS: Readonly<Record<Transition, { run: (at: OneRow) => Promise<unknown>; leaves: object; late?: string }>> = {
  taken: {
    run: ({ store, id }) => store.run(["takeCompensation", id, NOW, "me"]),
    leaves: { tries: 0, next_try_ms: null, ended_ms: null },
  },
  done: {
    run: ({ store, id }) => store.run(["compensationTried", id, null, null, LATER]),
    leaves: { tries: 1, next_try_ms: null, ended_ms: LATER },
    late: "late: done",
  },
  failed: {
    run: ({ store, id }) => store.run(["compensationTried", id, LATER + 200, "HTTP 500", LATER]),
    leaves: { tries: 1, next_try_ms: LATER + 200, last_answer: "HTTP 500", ended_ms: null },
    late: "late: HTTP 500",
  },
  interrupted: { run: ({ store }) => store.closeInterrupted(LATER), leaves: { tries: 0, next_try_ms: LATER, ended_ms: null } },
  restored: { run: ({ store }) => store.hold(), leaves: { tries: 0, next_try_ms: null, ended_ms: null } },
  confirmed: {
    run: ({ store, orderId }) => store.run(["confirmRestore", orderId, LATER, 10, "me"]),
    leaves: { tries: 0, next_try_ms: LATER, ended_ms: null },
  },
  settled: {
    run: ({ store, id }) => store.run(["settleCompensation", id, "by hand", LATER, "me"]),
    leaves: { tries: 0, next_try_ms: null, ended_ms: LATER, note: "by hand" },
  },
};

const PAIRS = COMPENSATION_STATES.flatMap((state) => (Object.keys(TRANSITIONS) as Transition[]).map((name) => ({ state, name })));

describe.each(["file", "postgres"] as const)("journal in %s", (kind) => {
  let store: Store;

  beforeAll(async () => {
    store = await OPEN[kind]();
  });

  afterAll(() => store.close());

  test.each(PAIRS)("a row that is $state, and what makes a row $name", async ({ state, name }) => {
    const { from, to } = TRANSITIONS[name] as { from: readonly CompensationStatus[]; to: CompensationStatus };
    const at = await OneRow.make(store, state);
    const [before, eventsBefore] = [await at.row(), await at.events()];
    const { run, leaves, late } = ACTIONS[name];
    const came = await run(at);
    if (from.includes(state)) {
      expect(await at.row()).toMatchObject({ ...leaves, state: to });
      expect(await at.events()).toEqual(to === "done" || to === "settled" ? ["order.failed", "order.compensated"] : ["order.failed"]);
    } else {
      // A late answer is on record and changes nothing else.
      expect(await at.row()).toEqual(late === undefined ? before : { ...before, last_answer: late });
      expect(await at.events()).toEqual(eventsBefore);
    }
    if (name === "done" || name === "failed") expect(came).toBe(from.includes(state) ? to : state);
    if (name === "taken") expect(came).toMatchObject({ id: at.id, status: state });
    if (name === "settled") expect(came).toMatchObject({ id: at.id, status: from.includes(state) ? to : state });
  });

  test("what is asked of a row that is not there is a fault of the caller, or nothing", async () => {
    const at = await OneRow.make(store, "pending");
    const before = await at.row();
    await expect(store.run(["compensationTried", MISSING, null, null, NOW])).rejects.toThrow(`there is no compensation ${MISSING}`);
    expect(await store.run(["takeCompensation", MISSING, NOW, "me"])).toBeNull();
    expect(await store.run(["settleCompensation", MISSING, "by hand", NOW, "me"])).toBeNull();
    expect(await at.row()).toEqual(before);
    expect(await at.events()).toEqual(["order.failed"]);
  });
});

test("every state is reached, and only what is done or settled is never left", () => {
  const all = Object.values(TRANSITIONS) as { from: readonly CompensationStatus[]; to: CompensationStatus }[];
  expect(COMPENSATION_STATES.filter((state) => !all.some(({ to }) => to === state))).toEqual([]);
  expect(COMPENSATION_STATES.filter((state) => !all.some(({ from }) => from.includes(state)))).toEqual(["done", "settled"]);
});
