import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { JournalUnavailable, OutcomeUnknown } from "../../src/orders/order-journal.ts";
import { eventually } from "../support/eventually.ts";
import { answerTo, JournalFixture, keyOf } from "./journal-fixture.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A request whose thread is killed with it; `settled` is its answer or error, undefined while it has none. */
interface Asked {
  settled: unknown;
}

/** Kills the thread with a request on it, again and again until one is what the test needs. */
async function killUnderWay(at: JournalFixture, deaths: () => number, isIt: (asked: Asked) => Promise<boolean>): Promise<Asked> {
  const works = () =>
    at.journal.find("x").then(
      () => true,
      () => false,
    );
  for (let n = 0; n < 200; n++) {
    await eventually("a thread", works);
    const before = deaths();
    const asked: Asked = { settled: undefined };
    const note = (settled: unknown) => {
      asked.settled = settled;
    };
    at.accept(`under-way-${n}`, 1, keyOf(`${n}-${"k".repeat(200)}`, "body", 1)).then(note, note);
    await turn();
    at.journal.killThread();
    await eventually("its death", () => deaths() > before);
    if (await isIt(asked)) return asked;
  }
  throw new Error("no request was under way when its thread died");
}

test("the thread dies over a batch and none can take its place: nobody knows, and the wait ends when it is told to", async () => {
  let deaths = 0;
  let thief: DatabaseSync | undefined;
  const reasons: string[] = [];
  await using at = await JournalFixture.open("file", {
    // At this moment nobody has the file open, and from then on the thread's successor cannot have it.
    onThreadDeath() {
      thief ??= new DatabaseSync(at.file);
      thief.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT");
      deaths++;
    },
    onHealth: (healthy, reason) => void (healthy || reasons.push(reason)),
  });
  try {
    const release = () => {
      thief?.close();
      thief = undefined;
    };
    const deathsSoFar = () => deaths;
    const asked = await killUnderWay(at, deathsSoFar, async ({ settled }) => {
      if (settled !== undefined) release();
      return settled === undefined;
    });
    await eventually("word of the lock", () => reasons.some((reason) => reason.startsWith("another process has it open")));
    // What comes now has surely had no effect.
    const late = await at.accept("late").catch((error: unknown) => error);
    expect(late).toBeInstanceOf(JournalUnavailable);
    expect(late).not.toBeInstanceOf(OutcomeUnknown);
    expect(asked.settled).toBeUndefined();
    at.journal.hurry();
    await eventually("the end of the wait", () => asked.settled);
    expect(asked.settled).toBeInstanceOf(OutcomeUnknown);
    await at.journal.close();
  } finally {
    thief?.close();
  }
});

test("the thread dies over a batch and the next one has no room to write: nobody knows, until there is room", async () => {
  let deaths = 0;
  await using at = await JournalFixture.open("file", { maxPages: 60, probeMs: 20, onThreadDeath: () => deaths++ });
  await at.accept("placed");
  for (let n = 0; at.journal.healthy; n++) await at.accept(`o${n}`, 1, keyOf(`${n}-${"k".repeat(200)}`, "body", 1)).catch(() => {});
  const deathsSoFar = () => deaths;
  const asked = await killUnderWay(at, deathsSoFar, async (each) => {
    await eventually("its answer", () => each.settled);
    return each.settled instanceof OutcomeUnknown;
  });
  expect((asked.settled as Error).message).toMatch(/^the disk is full/);
  while ((await at.journal.expireKeys(2, 1_000).catch(() => 1)) > 0);
  expect(await at.finish("placed")).toEqual(answerTo("placed"));
});

test("a thread that dies while the journal is opened fails the start with its own reason", async () => {
  process.once("worker", (worker) => void worker.terminate());
  await expect(JournalFixture.open("file")).rejects.toThrow("the journal's thread ended");
});
