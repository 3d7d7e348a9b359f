import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FAR, JournalFixture, NOW } from "./journal-fixture.ts";
import { KEY_LIFE_MS, turn } from "./journal-requests.ts";
import { Run } from "./journal-run.ts";

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const RUNS = 30;
// A kind that is not met after so many times as many runs never comes.
const MAX_ROUNDS = 20;

const KINDS = [
  ...["accepted", "running", "replayed", "conflict", "mismatch", "restart", "crash", "redeliver", "expired", "retired", "answer", "taken"],
  ...["running before the answer", "conflict before the answer", "mismatch before the answer", "crash before the answer", "events taken"],
  ...["settle: pending", "settle: trying", "settle: done", "settle: settled", "eventDelivered", "eventFailed", "giveUpEvent"],
  ...["late answer: pending", "late answer: done", "late answer: settled"],
];

let at: JournalFixture;
let runs = 0;
// Every run has names of its own and begins with nothing that waits, so that one journal serves them all.
let nowMs = NOW;
const met = new Set<string>();

beforeAll(async () => {
  at = await JournalFixture.open("file", { events: true });
});

afterAll(() => at[Symbol.asyncDispose]());

/** Leaves nothing that a run after this one would meet. */
async function clear(): Promise<void> {
  const { journal } = at;
  await journal.closeInterrupted(100_000, nowMs);
  for (;;) {
    const { items } = await journal.compensations("pending", undefined, 200);
    if (items.length === 0) break;
    await Promise.all(items.map(({ id }) => journal.settleCompensation(id, "over", nowMs, "me")));
  }
  nowMs += 10 * KEY_LIFE_MS;
  await journal.expireKeys(FAR, 100_000);
  await at.deliverAll();
  await journal.expireDeadLetters(FAR, 100_000);
}

test(`random requests, time, restarts and crashes: the journal says what the model says (SEED=${SEED})`, { timeout: 600_000 }, async () => {
  const property = fc.asyncProperty(fc.array(turn, { maxLength: 20, size: "max" }), async (turns) => {
    await clear();
    const run = new Run(at, runs++, (what) => met.add(what));
    for (const { passMs, before, requests } of turns) {
      nowMs += passMs;
      if (before !== "nothing") {
        met.add(before);
        await at.restart();
        if (before === "crash") expect(await at.journal.closeInterrupted(100_000, nowMs)).toBe(run.closeInterrupted(nowMs));
        await run.compare(nowMs);
      }
      const comparisons = requests.map((each) => run.send(each, nowMs));
      for (const comparison of comparisons) await comparison?.();
    }
    await run.compare(nowMs);
  });
  const unseen = () => KINDS.filter((kind) => !met.has(kind));
  for (let round = 0; round < MAX_ROUNDS && (round === 0 || unseen().length > 0); round++) {
    await fc.assert(property, { seed: SEED + round, numRuns: RUNS, endOnFailure: false });
  }
  expect(unseen(), `seed ${SEED}`).toEqual([]);
});
