import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { expect, onTestFinished, test } from "vitest";
import { randomFrom } from "../../load/stand-in/random.ts";
import { CancelBoard } from "../../src/threads/cancel-board.ts";
import { Layout } from "../../src/threads/layout.ts";
import { seedOf } from "../support/seed.ts";
import { CAUSES, type Cause } from "./causes.ts";
import { AWAKE, HOLD, LISTENING, type ReaderSetup, WOKEN } from "./log-reader-setup.ts";
import type { WriterSetup } from "./log-writer.ts";

const SEED = seedOf("LAYOUT_SEED");
const LOG_SIZE = 4096;
const PATIENCE_MS = 60_000;
// Several times what a wake-up takes where the reader has a core to itself.
const SPIN_MS = 0.2;
const NAP_MS = 0.05;
const NEVER_NOTIFIED = new Int32Array(new SharedArrayBuffer(4));

function start(file: string, workerData: ReaderSetup | WriterSetup): Worker {
  const worker = new Worker(fileURLToPath(new URL(file, import.meta.url)), { workerData });
  onTestFinished(async () => void (await worker.terminate()));
  return worker;
}

/** A reader on a thread of its own, with a task on each slot. */
class ReaderThread {
  readonly layout: Layout;
  readonly board: CancelBoard;
  readonly #heard: Int32Array<SharedArrayBuffer>;
  readonly #told = new Int32Array(new SharedArrayBuffer(4 * 4));

  private constructor(slots: number, startHead: number) {
    this.layout = Layout.allocate({ slots, rows: 1, logSize: LOG_SIZE });
    this.board = CancelBoard.create(this.layout, CAUSES, startHead);
    this.#heard = new Int32Array(new SharedArrayBuffer(4 * slots));
  }

  static async start(slots: number, startHead: number): Promise<ReaderThread> {
    const reader = new ReaderThread(slots, startHead);
    const [heard, told] = [reader.#heard.buffer, reader.#told.buffer];
    const worker = start("./log-reader.ts", { layout: reader.layout.handle, heard, told });
    const failed = once(worker, "error").then(([error]) => Promise.reject(error));
    failed.catch(() => {});
    const up = Atomics.waitAsync(reader.#told, LISTENING, 0, PATIENCE_MS);
    expect(await Promise.race([up.value, failed])).toBe("ok");
    return reader;
  }

  told(word: number): number {
    return Atomics.load(this.#told, word);
  }

  /** The reader is held up on its way back to its next wait until its bell has been rung. */
  holdUp(): void {
    Atomics.store(this.#told, HOLD, 1);
  }

  /** Watches from outside, without a wake-up of its own, until the task of the slot has heard: nothing here makes up for one that was lost. */
  untilHeard(slot: number): void {
    const startMs = performance.now();
    while (this.heard(slot) === 0) {
      const waitedMs = performance.now() - startMs;
      // On a machine with one core the reader cannot run while this thread looks.
      if (waitedMs > SPIN_MS) Atomics.wait(NEVER_NOTIFIED, 0, 0, NAP_MS);
      if (waitedMs > PATIENCE_MS) throw new Error(`the reader slept through the cancel of slot ${slot}`);
    }
  }

  heard(slot: number): number {
    return Atomics.load(this.#heard, slot);
  }

  /** The tasks of the slots in front of `end` have heard of their causes, and those behind have not. */
  expectHeard(end: number, causeOf: (slot: number) => Cause): void {
    for (let slot = 0; slot < end; slot++) this.untilHeard(slot);
    for (const [slot, cause] of this.#heard.entries()) {
      const expected = slot < end ? 1 + CAUSES.indexOf(causeOf(slot)) : 0;
      if (cause !== expected) expect([slot, cause]).toEqual([slot, expected]);
    }
  }
}

/** Another one for each slot. */
const causeOf = (slot: number) => CAUSES[slot % CAUSES.length] as Cause;

test(`no wake-up is lost, asleep or on the way back to sleep, in cancels that are heard of one by one (seed ${SEED})`, async () => {
  // A switch of threads takes some 0.05 ms, and beside others on one core milliseconds. So many of each kind there must be, however
  // long they take; after that as many as there is time for.
  const [least, most, budgetMs] = [400, 20_000, 2_000];
  const random = randomFrom(SEED);
  const reader = await ReaderThread.start(most, 2 ** 31 - 200);
  const endMs = performance.now() + budgetMs;
  let slot = 0;
  const isEnough = () => Math.min(reader.told(WOKEN), reader.told(AWAKE)) >= least;
  for (; slot < most && !(isEnough() && performance.now() > endMs); slot++) {
    if (random() < 0.5) reader.holdUp();
    reader.board.cancel(slot, 0, causeOf(slot));
    reader.untilHeard(slot);
    // Half of the next cancels come at once; the others may find the reader asleep.
    const pause = performance.now() + (random() < 0.5 ? 0 : random() * 0.05);
    while (performance.now() < pause);
  }
  expect(reader.told(WOKEN)).toBeGreaterThanOrEqual(least);
  expect(reader.told(AWAKE)).toBeGreaterThanOrEqual(least);
  reader.expectHeard(slot, causeOf);
});

test(`nothing is lost where several threads cancel at one time (seed ${SEED})`, async () => {
  const slots = 60_000;
  const writers = 3;
  const startHead = 2 ** 31 - 20_000;
  const reader = await ReaderThread.start(slots, startHead);
  const gate = new Int32Array(new SharedArrayBuffer(8));
  const threads = Array.from({ length: writers }, (_, first) =>
    start("./log-writer.ts", { layout: reader.layout.handle, first, step: writers, seed: SEED, gate: gate.buffer }),
  );
  const ended = Promise.all(threads.map((thread) => once(thread, "exit")));
  for (let up = 0; up < writers; up = Atomics.load(gate, 0)) await Atomics.waitAsync(gate, 0, up, PATIENCE_MS).value;
  Atomics.store(gate, 1, 1);
  Atomics.notify(gate, 1);
  expect((await ended).flat()).toEqual([0, 0, 0]);
  reader.expectHeard(slots, causeOf);
  // A writer that loses its processor for a whole ring, right after it wrote, cannot know that it wrote in time: it logs its slot again.
  const again = (reader.board.head() - startHead - slots) | 0;
  expect(again).toBeGreaterThanOrEqual(0);
  expect(again).toBeLessThanOrEqual((writers * slots) / LOG_SIZE);
});

test(`nothing is lost in bursts of up to two rings (seed ${SEED})`, async () => {
  const random = randomFrom(SEED);
  const slots = 60_000;
  const reader = await ReaderThread.start(slots, -30_000);
  for (let slot = 0; slot < slots; ) {
    const end = Math.min(slots, slot + 1 + Math.floor(random() ** 3 * 2 * LOG_SIZE));
    while (slot < end) reader.board.cancel(slot++, 0, "deadline");
    reader.expectHeard(end, () => "deadline");
  }
});
