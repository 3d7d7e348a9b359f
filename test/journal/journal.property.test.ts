import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ErrorKind } from "../../src/orders/error-kind.ts";
import type { RowId } from "../../src/orders/operator-journal.ts";
import type { OrderEvent } from "../../src/orders/order-event.ts";
import type { Compensation, FirstTry } from "../../src/orders/order-journal.ts";
import { STEPS } from "../../src/orders/steps.ts";
import { DAY_MS, FAR, JournalFixture, keyOf, NOW } from "./journal-fixture.ts";
import { type Attempt, type Event, JournalModel } from "./journal-model.ts";

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const RUNS = 30;
// A kind that is not met after so many times as many runs never comes.
const MAX_ROUNDS = 20;
const ORDERS = 4;
const KEY_LIFE_MS = 100;

const which = fc.nat(1_000);
const laterMs = fc.option(fc.nat(80), { nil: undefined });
const compensations = fc.uniqueArray(fc.record({ step: fc.constantFrom(...STEPS), tries: fc.constantFrom<0 | 1>(0, 1), laterMs }), {
  selector: ({ step }) => step,
  maxLength: 3,
});

/** A request, by choices that mean something only together with what is there when its turn comes. */
const request = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("accept" as const),
      order: fc.nat(ORDERS - 1),
      amount: fc.integer({ min: 1, max: 2 }),
      key: fc.option(fc.record({ client: fc.constantFrom("", "c"), name: fc.nat(3), body: fc.nat(1) }), { nil: undefined }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("finish" as const),
      which,
      error: fc.option(fc.constantFrom<ErrorKind>("timeout", "no_courier", "canceled", "timeout"), { nil: undefined, freq: 4 }),
      compensations,
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("compensationTried" as const), which, laterMs }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("settle" as const), which }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("eventDelivered" as const), which }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("eventFailed" as const), which, laterMs: fc.nat(80) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("giveUpEvent" as const), which }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("giveUpExpired" as const), limit: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("redeliver" as const), which }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("expireDeadLetters" as const), limit: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("expireKeys" as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("retire" as const) }) },
);

/** What happens in one turn of the event loop, and before it. */
const turn = fc.record({
  passMs: fc.oneof(
    { weight: 6, arbitrary: fc.constant(0) },
    { weight: 3, arbitrary: fc.nat(2 * KEY_LIFE_MS) },
    { weight: 1, arbitrary: fc.constant(DAY_MS) },
  ),
  before: fc.oneof(
    { weight: 30, arbitrary: fc.constant("nothing" as const) },
    { weight: 1, arbitrary: fc.constant("restart" as const) },
    { weight: 2, arbitrary: fc.constant("crash" as const) },
  ),
  requests: fc.array(request, { minLength: 1, maxLength: 8 }),
});

type Request = typeof request extends fc.Arbitrary<infer T> ? T : never;

let at: JournalFixture;
let runs = 0;
// Every run is later than all before it and has names of its own, so that one journal serves them all.
let nowMs = NOW;
const met = new Map<string, number>();

beforeAll(async () => {
  at = await JournalFixture.open("file", { events: true });
});

afterAll(() => at[Symbol.asyncDispose]());

const count = (name: string) => met.set(name, (met.get(name) ?? 0) + 1);

function pick<T>(list: readonly T[], chosen: number): T | undefined {
  return list[chosen % list.length];
}

/** One run's model, and what the journal calls the things in it at the beginning of a turn. */
class Run {
  readonly #name: number;
  readonly #orderIds: readonly string[];
  readonly #model = new JournalModel();
  #compensations: { attempt: Attempt; row: Compensation }[] = [];
  #events: { event: Event; seq: number }[] = [];
  #letters: { event: Event; seq: RowId }[] = [];

  constructor(name: number) {
    this.#name = name;
    this.#orderIds = Array.from({ length: ORDERS }, (_, order) => `${name}-${order}`);
  }

  closeInterrupted(): number {
    return this.#model.closeInterrupted(nowMs);
  }

  /** Reads everything, compares it with the model, and keeps the journal's numbers. */
  async compare(): Promise<void> {
    const model = this.#model;
    const { journal } = at;
    const [found, due, everDue, page, waiting, letterPage, backlog] = await Promise.all([
      Promise.all(this.#orderIds.flatMap((orderId) => [journal.find(orderId), journal.find(orderId, 3)])),
      Promise.all(STEPS.map((step) => journal.dueCompensations(step, nowMs, 100_000))),
      Promise.all(STEPS.map((step) => journal.dueCompensations(step, FAR, 100_000))),
      journal.dueEvents(nowMs, 100_000),
      journal.dueEvents(FAR, 100_000),
      journal.deadLetters(undefined, 500),
      journal.backlog(),
    ]);
    expect(found).toEqual(this.#orderIds.flatMap((orderId) => [model.find(orderId), model.find(orderId, 3)]));

    this.#compensations = [];
    for (const [index, step] of STEPS.entries()) {
      const all = model.pending(step);
      const isOwn = ({ orderId }: { orderId: string }) => orderId.startsWith(`${this.#name}-`);
      const ownDue = due[index]?.items.filter(isOwn) ?? [];
      const expected = all.filter(({ nextTryMs }) => nextTryMs <= nowMs);
      const words = ({ orderId, attempt, amount, tries }: Omit<Compensation, "id" | "step">) => `${orderId} ${attempt} ${amount} ${tries}`;
      expect(ownDue.map(words).sort()).toEqual(expected.map(({ attempt, compensation: { tries } }) => words({ ...attempt, tries })).sort());
      for (const row of everDue[index]?.items.filter(isOwn) ?? []) {
        const owner = all.find(({ attempt }) => attempt.orderId === row.orderId && attempt.attempt === row.attempt);
        if (owner === undefined) throw new Error(`${row.orderId}: not in the model`);
        this.#compensations.push({ attempt: owner.attempt, row });
      }
      expect(this.#compensations.filter(({ row }) => row.step === step)).toHaveLength(all.length);
    }

    const heads = model.heads();
    expect(page.items.map(told).sort()).toEqual(
      heads
        .filter(({ nextTryMs }) => nextTryMs <= nowMs)
        .map(toldOf)
        .sort(),
    );
    const later = heads.map(({ nextTryMs }) => nextTryMs).filter((nextTryMs) => nextTryMs > nowMs);
    expect(page.nextDueMs).toBe(later.length === 0 ? undefined : Math.min(...later));
    this.#events = waiting.items.map(({ seq, orderId }) => {
      const event = heads.find((head) => head.orderId === orderId);
      if (event === undefined) throw new Error(`${orderId}: no event in the model`);
      return { event, seq };
    });
    const letters = letterPage.items;
    expect(letters.map(({ payload, givenUpMs }) => [nameOf(payload), givenUpMs])).toEqual(
      model.deadLetters.map(({ type, orderId, attempt, givenUpMs }) => [`${type} ${orderId} ${attempt}`, givenUpMs]),
    );
    this.#letters = letters.flatMap(({ seq }, index) => {
      const event = model.deadLetters[index];
      return event === undefined ? [] : [{ event, seq }];
    });
    expect(backlog).toMatchObject({ events: { count: model.outbox.length }, deadLetters: model.deadLetters.length });
  }

  /** Sends a request and returns the comparison of what came with what the model says, to be made when it has come. */
  send(request: Request): (() => Promise<void>) | undefined {
    const model = this.#model;
    const { journal } = at;
    switch (request.type) {
      case "accept": {
        const { order, amount, key } = request;
        const name = key && keyOf(`${this.#name}-${key.name}`, `${order}-${amount}-${key.body}`, nowMs + KEY_LIFE_MS, key.client);
        const asked = { orderId: `${this.#name}-${order}`, amount, nowMs, ...(name !== undefined && { key: name }) };
        const expected = model.accept(asked);
        count(expected.type);
        return compare(journal.accept(asked), expected.type === "replayed" ? { type: "replayed" } : expected);
      }
      case "finish": {
        // Sometimes one that has ended: it must stay as it is.
        const open = model.attempts.filter(({ ended }) => ended === undefined);
        const chosen = pick(request.which % 7 === 0 ? model.attempts : open, request.which);
        if (chosen === undefined) return undefined;
        const { orderId, attempt } = chosen;
        const tried = request.error === undefined ? [] : request.compensations;
        const firsts = tried.map(
          ({ step, tries, laterMs: ms }): FirstTry => ({ step, tries, ...(ms !== undefined && { nextTryMs: nowMs + ms }) }),
        );
        const wasOpen = model.finish(chosen, request.error, firsts, nowMs);
        const ending = { attempt, compensations: firsts, nowMs, ...(request.error !== undefined && { error: request.error }) };
        const ended = at.finish(orderId, ending).then(
          () => true,
          (error: Error) => !error.message.endsWith("is not open"),
        );
        return compare(ended, wasOpen);
      }
      case "compensationTried": {
        const chosen = pick(this.#compensations, request.which);
        if (chosen === undefined || !model.attempts.includes(chosen.attempt)) return undefined;
        const { orderId, attempt, step } = chosen.row;
        const nextTryMs = request.laterMs === undefined ? undefined : nowMs + request.laterMs;
        model.compensationTried(chosen.attempt, step, nextTryMs, nowMs);
        return compare(journal.compensationTried({ orderId, attempt, step, nowMs, ...(nextTryMs !== undefined && { nextTryMs }) }));
      }
      case "settle": {
        const chosen = pick(this.#compensations, request.which);
        if (chosen === undefined || !model.attempts.includes(chosen.attempt)) return undefined;
        count("settle");
        model.settle(chosen.attempt, chosen.row.step, "by hand", nowMs);
        const settled = journal.settleCompensation(chosen.row.id, "by hand", nowMs);
        return async () => void (await settled);
      }
      case "eventDelivered":
      case "eventFailed":
      case "giveUpEvent": {
        const chosen = pick(this.#events, request.which);
        if (chosen === undefined) return undefined;
        const { event, seq } = chosen;
        count(request.type);
        if (request.type === "eventDelivered") {
          model.delivered(event, nowMs);
          return compare(journal.eventDelivered(seq, nowMs));
        }
        if (request.type === "giveUpEvent") {
          model.giveUp(event, nowMs);
          return compare(journal.giveUpEvent(seq, "410", nowMs));
        }
        model.failed(event, nowMs + request.laterMs);
        return compare(journal.eventFailed(seq, nowMs + request.laterMs));
      }
      case "giveUpExpired": {
        const expected = model.giveUpExpired(nowMs, nowMs, request.limit);
        if (expected > 0) count("expired");
        return compare(journal.giveUpExpired(nowMs, "24 h", nowMs, request.limit), expected);
      }
      case "redeliver": {
        const chosen = pick(this.#letters, request.which);
        if (chosen === undefined) return undefined;
        count("redeliver");
        return compare(journal.redeliver(chosen.seq, nowMs), model.redeliver(chosen.event, nowMs));
      }
      case "expireDeadLetters": {
        const expected = model.expireDeadLetters(nowMs, request.limit);
        return compare(journal.expireDeadLetters(nowMs, request.limit), expected);
      }
      case "expireKeys": {
        const expected = model.expireKeys(nowMs);
        return compare(journal.expireKeys(nowMs, 100_000), expected);
      }
      case "retire": {
        // As in the service: what goes is older than any key that could ask for it.
        const before = model.attempts.length;
        model.retire(nowMs - KEY_LIFE_MS);
        if (model.attempts.length < before) count("retired");
        return compare(journal.retire(nowMs - KEY_LIFE_MS, [], 1_000_000), null);
      }
    }
  }
}

function compare(answer: Promise<unknown>, expected?: unknown): () => Promise<void> {
  return async () => {
    const came = await answer;
    if (typeof expected === "object" && expected !== null) expect(came).toMatchObject(expected);
    else expect(came).toBe(expected);
  };
}

function nameOf(payload: string): string {
  const { type, data } = JSON.parse(payload);
  return `${type} ${data.order_id} ${data.attempt}`;
}

const told = ({ payload, tries, expiresMs }: OrderEvent) => `${nameOf(payload)} ${tries} ${expiresMs}`;
const toldOf = ({ type, orderId, attempt, tries, expiresMs }: Event) => `${type} ${orderId} ${attempt} ${tries} ${expiresMs}`;

/** Leaves nothing that a run after this one would meet. */
async function clear(): Promise<void> {
  nowMs += 10 * KEY_LIFE_MS;
  await at.journal.closeInterrupted(100_000, nowMs);
  await at.journal.expireKeys(nowMs, 100_000);
  await at.deliverAll();
  await at.journal.expireDeadLetters(FAR, 100_000);
}

test(`random requests, time, restarts and crashes: the journal says what the model says (SEED=${SEED})`, { timeout: 600_000 }, async () => {
  const kinds = [
    "accepted",
    "running",
    "replayed",
    "conflict",
    "mismatch",
    "restart",
    "crash",
    "settle",
    "redeliver",
    "expired",
    "retired",
    "eventDelivered",
    "eventFailed",
    "giveUpEvent",
  ];
  const property = fc.asyncProperty(fc.array(turn, { maxLength: 20, size: "max" }), async (turns) => {
    await clear();
    const run = new Run(runs++);
    for (const { passMs, before, requests } of turns) {
      nowMs += passMs;
      if (before !== "nothing") {
        count(before);
        await at.restart();
        if (before === "crash") expect(await at.journal.closeInterrupted(100_000, nowMs)).toBe(run.closeInterrupted());
        await run.compare();
      }
      const comparisons = requests.map((each) => run.send(each));
      for (const comparison of comparisons) await comparison?.();
    }
    await run.compare();
  });
  const unseen = () => kinds.filter((kind) => !met.has(kind));
  for (let round = 0; round < MAX_ROUNDS && (round === 0 || unseen().length > 0); round++) {
    await fc.assert(property, { seed: SEED + round, numRuns: RUNS, endOnFailure: false });
  }
  expect(unseen(), `seed ${SEED}`).toEqual([]);
});
