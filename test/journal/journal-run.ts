import { expect } from "vitest";
import type { CompensationStatus } from "../../src/orders/compensation-state.ts";
import type { CompensationRow, Cursor, OrderStatus, Page } from "../../src/orders/operator-journal.ts";
import type { Compensation } from "../../src/orders/order-journal.ts";
import type { DuePage } from "../../src/resilience/retry-queue.ts";
import { type Comparison, equal, pick, refusedUnless } from "./comparison.ts";
import { answerTo, type JournalFixture, keyOf } from "./journal-fixture.ts";
import { type Attempt, JournalModel, type ModelCompensation, type ModelTry } from "./journal-model.ts";
import { KEY_LIFE_MS, ORDERS, type Request } from "./journal-requests.ts";
import { OutboxRun } from "./outbox-run.ts";

type Of<Type extends Request["type"]> = Extract<Request, { type: Type }>;

/** One run: the model, and what the journal calls the things in it. */
export class Run {
  readonly #at: JournalFixture;
  readonly #name: number;
  readonly #count: (what: string) => void;
  readonly #orderIds: readonly string[];
  readonly #model = new JournalModel();
  readonly #outbox: OutboxRun;

  /** `count` is told what was met. The orders of runs with different names are different. */
  constructor(at: JournalFixture, name: number, count: (what: string) => void) {
    this.#at = at;
    this.#name = name;
    this.#count = count;
    this.#orderIds = Array.from({ length: ORDERS }, (_, order) => `${name}-${order}`);
    this.#outbox = new OutboxRun(at, this.#model.outbox, count);
  }

  closeInterrupted(nowMs: number): number {
    if (this.#model.attempts.some(({ isOpen, ended }) => isOpen && ended !== undefined)) this.#count("crash before the answer");
    return this.#model.closeInterrupted(nowMs);
  }

  /** Reads everything, compares it with the model, and keeps the journal's numbers. */
  async compare(nowMs: number): Promise<void> {
    const model = this.#model;
    const { journal } = this.#at;
    const asked = this.#orderIds.flatMap((orderId) => [journal.find(orderId), journal.find(orderId, 3)]);
    expect(await Promise.all(asked)).toEqual(this.#orderIds.flatMap((orderId) => [model.find(orderId), model.find(orderId, 3)]));
    for (const status of ["pending", "trying"] as const) await this.#compareList(status);
    const over = model.compensations.filter(({ endedMs }) => endedMs !== undefined);
    expect(await Promise.all(over.map(({ id = 0 }) => journal.compensation(id)))).toEqual(over.map(shown));
    const latest = this.#orderIds.flatMap((orderId) => model.of(orderId).at(-1) ?? []);
    for (const status of ["running", "compensating"] as const) {
      const listed = await this.#all((cursor) => journal.orders({ status }, cursor, 500));
      const expected = latest.filter((attempt) => statusOf(attempt) === status);
      expect(listed.map(({ orderId }) => orderId).sort()).toEqual(expected.map(({ orderId }) => orderId).sort());
    }
    await this.#outbox.compare(nowMs);
  }

  /** Sends a request. Undefined where there is nothing to send. */
  send(request: Request, nowMs: number): Comparison | undefined {
    const model = this.#model;
    const { journal } = this.#at;
    switch (request.type) {
      case "accept":
        return this.#accept(request, nowMs);
      case "finish":
        return this.#finish(request, nowMs);
      case "answer":
        return this.#answer(request, nowMs);
      case "compensationTried": {
        const chosen = this.#someRow(request.which, "trying");
        if (chosen === undefined) return undefined;
        if (chosen.status !== "trying") this.#count(`late answer: ${chosen.status}`);
        const end = tryOf(request.end, nowMs);
        const told = journal.compensationTried({ id: chosen.id, step: chosen.step, ...end }, nowMs);
        return equal(told, model.compensationTried(chosen, end, nowMs));
      }
      case "takeCompensations": {
        const { step, kind, limit, leastTried } = request;
        const taken = journal.takeCompensations(step, kind, { nowMs, limit, leastTried, underWay: [] });
        return this.#taken(taken, model.takeCompensations(step, kind, nowMs, limit, leastTried), limit);
      }
      case "takeCompensation": {
        const chosen = this.#someRow(request.which, "pending");
        if (chosen === undefined) return undefined;
        const before = shown(chosen);
        model.take(chosen);
        return equal(journal.takeCompensation(chosen.id, nowMs, "me"), before);
      }
      case "settle": {
        const chosen = this.#someRow(request.which, "pending");
        if (chosen === undefined) return undefined;
        this.#count(`settle: ${chosen.status}`);
        model.settle(chosen, "by hand", nowMs);
        return equal(journal.settleCompensation(chosen.id, "by hand", nowMs, "me"), shown(chosen));
      }
      case "expireKeys":
        return equal(journal.expireKeys(nowMs, 100_000), model.expireKeys(nowMs));
      case "retire": {
        const before = model.attempts.length;
        model.retire(nowMs - KEY_LIFE_MS);
        if (model.attempts.length < before) this.#count("retired");
        return equal(journal.retire(nowMs - KEY_LIFE_MS, [], 1_000_000), undefined);
      }
      default:
        return this.#outbox.send(request, nowMs);
    }
  }

  #accept({ order, amount, key }: Of<"accept">, nowMs: number): Comparison {
    const name = key && keyOf(`${this.#name}-${key.name}`, `${order}-${amount}-${key.body}`, nowMs + KEY_LIFE_MS, key.client);
    const asked = { orderId: `${this.#name}-${order}`, amount, nowMs, ...(name !== undefined && { key: name }) };
    const expected = this.#model.accept(asked);
    const isEnding = this.#model.of(asked.orderId).some(({ isOpen, ended }) => isOpen && ended !== undefined);
    this.#count(isEnding ? `${expected.type} before the answer` : expected.type);
    return equal(this.#at.journal.accept(asked), expected);
  }

  #finish({ which, error, answered, compensations }: Of<"finish">, nowMs: number): Comparison | undefined {
    // Sometimes one that has ended: it must stay as it is.
    const chosen = this.#someAttempt(which, ({ ended }) => ended === undefined);
    if (chosen === undefined) return undefined;
    const planned = error === undefined ? [] : compensations;
    const wasRunning = this.#model.finish(chosen, error, answered, planned, nowMs);
    const rows = [...chosen.compensations];
    const { orderId, attempt } = chosen;
    const tried = planned.map(({ step, trying }) => ({ step, ...(trying && { tried: {} }) }));
    const ended = this.#at.fail(orderId, { attempt, answered, compensations: tried, nowMs, ...(error !== undefined && { error }) });
    return refusedUnless(wasRunning, ended, (ids) => {
      expect(ids).toHaveLength(rows.length);
      for (const [index, row] of rows.entries()) row.id = ids[index] as number;
    });
  }

  #answer({ which, answered, ends }: Of<"answer">, nowMs: number): Comparison | undefined {
    const chosen = this.#someAttempt(which, ({ isOpen, ended }) => isOpen && ended !== undefined);
    if (chosen === undefined) return undefined;
    const tried = chosen.compensations.flatMap((row, index) => {
      const end = ends[index];
      return end !== undefined && row.id !== undefined && row.status === "trying" ? [[row, tryOf(end, nowMs)] as const] : [];
    });
    const told = tried.map(([{ id = 0, step }, end]) => ({ id, step, ...end }));
    const { orderId, attempt, ended } = chosen;
    const { json } = answerTo(orderId, ended?.error);
    const wasWaiting = this.#model.answer(chosen, answered, tried, nowMs);
    if (wasWaiting) this.#count("answer");
    const asked = { orderId, attempt, json, answered, tried: told, nowMs };
    return refusedUnless(wasWaiting, this.#at.journal.answer(asked), () => {});
  }

  #taken(taken: Promise<DuePage<Compensation>>, expected: DuePage<ModelCompensation>, limit: number): Comparison {
    // What becomes of them in the same turn changes the model's rows.
    const rows = expected.items.map((row) => ({ row, tries: row.tries }));
    if (rows.length > 0) this.#count("taken");
    return async () => {
      const { items, nextDueMs } = await taken;
      expect(items.map(({ id, ...item }) => item)).toEqual(
        rows.map(({ row: { step, attempt }, tries }) => {
          const { orderId, amount, attempt: number } = attempt;
          return { orderId, attempt: number, amount, step, tries };
        }),
      );
      for (const [index, { row }] of rows.entries()) learn(row, items[index]?.id as number);
      if (items.length < limit) expect(nextDueMs).toBe(expected.nextDueMs);
    };
  }

  async #compareList(status: CompensationStatus): Promise<void> {
    const listed = (await this.#all((cursor) => this.#at.journal.compensations(status, cursor, 500))).filter(({ orderId }) =>
      this.#orderIds.includes(orderId),
    );
    const expected = this.#model.compensations.filter((row) => row.status === status);
    expect(listed).toHaveLength(expected.length);
    for (const [index, row] of expected.entries()) {
      learn(row, listed[index]?.id as number);
      expect(listed[index]).toEqual(shown(row));
    }
  }

  async #all<Item>(read: (cursor: Cursor | undefined) => Promise<Page<Item>>): Promise<Item[]> {
    const found: Item[] = [];
    for (let cursor: Cursor | undefined; ; ) {
      const { items, next } = await read(cursor);
      found.push(...items);
      if (next === undefined) return found;
      cursor = next;
    }
  }

  /** Mostly one in that state. */
  #someRow(which: number, status: CompensationStatus): (ModelCompensation & { id: number }) | undefined {
    const known = this.#model.compensations.filter((row): row is ModelCompensation & { id: number } => row.id !== undefined);
    return pick(which % 3 === 0 ? known : known.filter((row) => row.status === status), which);
  }

  #someAttempt(which: number, isWanted: (attempt: Attempt) => boolean): Attempt | undefined {
    const { attempts } = this.#model;
    return pick(which % 7 === 0 ? attempts : attempts.filter(isWanted), which);
  }
}

function tryOf({ laterMs, lastAnswer }: { laterMs: number | undefined; lastAnswer: string }, nowMs: number): ModelTry {
  return laterMs === undefined ? {} : { nextTryMs: nowMs + laterMs, lastAnswer };
}

function learn(row: ModelCompensation, id: number): void {
  expect(id).toBe(row.id ?? id);
  row.id = id;
}

function statusOf({ ended, compensations }: Attempt): OrderStatus {
  if (ended === undefined) return "running";
  if (ended.error === undefined) return "ok";
  return compensations.some(({ endedMs }) => endedMs === undefined) ? "compensating" : "error";
}

function shown({ id = 0, attempt, step, status, tries, nextTryMs, lastAnswer, endedMs, note }: ModelCompensation): CompensationRow {
  const { orderId, attempt: number, amount, ended } = attempt;
  return {
    ...{ id, orderId, attempt: number, step, amount, status, sinceMs: ended?.atMs ?? 0, tries },
    ...(nextTryMs !== undefined && { nextTryMs }),
    ...(lastAnswer !== undefined && { lastAnswer }),
    ...(endedMs !== undefined && { endedMs }),
    ...(note !== undefined && { note }),
  };
}
