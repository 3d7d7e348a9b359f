import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ErrorKind } from "../../src/orders/error-kind.ts";
import type { StepName } from "../../src/orders/step.ts";
import { JournalFixture, keyOf, NOW } from "./journal-fixture.ts";
import { JournalModel } from "./journal-model.ts";

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const RUNS = 100;
const KEY_LIFE_MS = 100;

const which = fc.nat(1_000);
const undos = fc.uniqueArray(
  fc.record({ step: fc.constantFrom<StepName>("payment", "vendor", "courier"), done: fc.boolean(), tries: fc.nat(3) }),
  { selector: ({ step }) => step, maxLength: 3 },
);

/** A request, by choices that mean something only together with what is there when its turn comes. */
const request = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("accept" as const),
      order: fc.nat(3),
      amount: fc.integer({ min: 1, max: 2 }),
      key: fc.option(fc.record({ client: fc.constantFrom("", "c"), name: fc.nat(3), body: fc.nat(1) }), { nil: undefined }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("finish" as const),
      which,
      error: fc.option(fc.constantFrom<ErrorKind>("timeout", "no_courier"), { nil: undefined }),
      undos,
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("undoTried" as const), which, done: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("find" as const), order: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("expireKeys" as const) }) },
);

/** What happens in one turn of the event loop, and before it. */
const turn = fc.record({
  passMs: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(2 * KEY_LIFE_MS) }),
  before: fc.oneof(
    { weight: 30, arbitrary: fc.constant("nothing" as const) },
    { weight: 1, arbitrary: fc.constant("restart" as const) },
    { weight: 2, arbitrary: fc.constant("crash" as const) },
    { weight: 2, arbitrary: fc.constant("killThread" as const) },
  ),
  requests: fc.array(request, { minLength: 1, maxLength: 8 }),
});

type Request = typeof request extends fc.Arbitrary<infer T> ? T : never;

let at: JournalFixture;
let runs = 0;
// Every run is later than all before it and has names of its own, so that one journal serves them all.
let nowMs = NOW;
let lastSeq = 0;
const met = new Map<string, number>();

beforeAll(async () => {
  at = await JournalFixture.open("file", { events: true });
});

afterAll(() => at[Symbol.asyncDispose]());

/** Sends a request and returns the comparison of what came with what the model says, to be made when it has come. */
function send(request: Request, model: JournalModel, run: number): (() => Promise<void>) | undefined {
  switch (request.type) {
    case "accept": {
      const { order, amount, key } = request;
      const name = key && keyOf(`${run}-${key.name}`, `${order}-${amount}-${key.body}`, nowMs + KEY_LIFE_MS, key.client);
      const asked = { orderId: `${run}-${order}`, amount, nowMs, ...(name !== undefined && { key: name }) };
      const expected = model.accept(asked);
      met.set(expected.type, (met.get(expected.type) ?? 0) + 1);
      const answer = at.journal.accept(asked);
      return async () => expect(await answer).toEqual(expected);
    }
    case "finish": {
      // Sometimes one that has ended: it must stay as it is.
      const candidates = request.which % 5 === 0 ? model.attempts : model.attempts.filter(({ ended }) => ended === undefined);
      const chosen = candidates[request.which % candidates.length];
      if (chosen === undefined) return undefined;
      const { orderId, attempt } = chosen;
      const undone = request.error === undefined ? [] : request.undos;
      const expected = model.finish(orderId, attempt, request.error, undone, nowMs);
      const answer = at.finish(orderId, { attempt, undos: undone, nowMs, ...(request.error !== undefined && { error: request.error }) });
      return async () => expect((await answer).error).toBe(expected);
    }
    case "undoTried": {
      const pending = model.pendingUndos();
      const chosen = pending[request.which % pending.length];
      if (chosen === undefined) return undefined;
      const { orderId, attempt, step } = chosen;
      model.undoTried(orderId, attempt, step, request.done);
      const answer = at.journal.undoTried({ orderId, attempt, step: step as StepName, done: request.done, nowMs });
      return () => answer;
    }
    case "find": {
      const orderId = `${run}-${request.order}`;
      const expected = model.find(orderId);
      const answer = at.journal.find(orderId);
      return async () => expect(await answer).toEqual(expected);
    }
    case "expireKeys": {
      const expected = model.expireKeys(nowMs);
      const answer = at.journal.expireKeys(nowMs, 100_000);
      return async () => expect(await answer).toBe(expected);
    }
  }
}

async function compareAll(model: JournalModel, run: number): Promise<void> {
  for (let order = 0; order <= 3; order++) expect(await at.journal.find(`${run}-${order}`)).toEqual(model.find(`${run}-${order}`));
  const pending = await at.journal.pendingUndos(0, 100_000);
  const own = pending.filter(({ orderId }) => orderId.startsWith(`${run}-`)).map(({ id: _, ...task }) => task);
  const sorted = (tasks: readonly object[]) => tasks.map((task) => JSON.stringify(task, Object.keys(task).sort())).sort();
  expect(sorted(own)).toEqual(sorted(model.pendingUndos()));
  const events = await at.journal.undelivered(lastSeq, 100_000);
  lastSeq = events.at(-1)?.seq ?? lastSeq;
  const told = events.map(({ payload }) => JSON.parse(payload)).map(({ type, data }) => [type, data.order_id, data.attempt]);
  const inOrder = (list: readonly unknown[][]) => Map.groupBy(list, ([, orderId]) => orderId);
  expect(inOrder(told)).toEqual(inOrder(model.events));
}

test(`random requests, time, restarts and dying threads: the journal says what the model says (SEED=${SEED})`, {
  timeout: 180_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(turn, { maxLength: 20, size: "max" }), async (turns) => {
      const run = runs++;
      const model = new JournalModel();
      nowMs += 10 * KEY_LIFE_MS;
      await at.journal.closeInterrupted(100_000, nowMs);
      await at.journal.expireKeys(nowMs, 100_000);
      lastSeq = (await at.journal.undelivered(0, 100_000)).at(-1)?.seq ?? 0;
      for (const { passMs, before, requests } of turns) {
        nowMs += passMs;
        if (before !== "nothing") met.set(before, (met.get(before) ?? 0) + 1);
        if (before === "restart" || before === "crash") await at.restart();
        if (before === "crash") expect(await at.journal.closeInterrupted(100_000, nowMs)).toBe(model.closeInterrupted(nowMs));
        // A batch that is sent again after its thread died is a new meeting of its requests: one may now see what another,
        // which was asked for at the same time, has done. Alone it must get what it would have got.
        const asked = before === "killThread" ? requests.filter(({ type }) => type !== "expireKeys").slice(0, 1) : requests;
        const comparisons = asked.map((request) => send(request, model, run));
        if (before === "killThread") setImmediate(() => at.journal.killThread());
        for (const compare of comparisons) await compare?.();
      }
      await compareAll(model, run);
    }),
    { seed: SEED, numRuns: RUNS, endOnFailure: false },
  );
  for (const type of ["accepted", "running", "replayed", "conflict", "mismatch", "restart", "crash", "killThread"]) {
    expect(met.get(type) ?? 0, `${type}, seed ${SEED}`).toBeGreaterThan(5);
  }
});
