import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { randomFrom } from "../../load/stand-in/random.ts";
import { CANCEL_CAUSES, type CancelCause } from "../../src/orders/cancel-cause.ts";
import { CancelBoard } from "../../src/threads/cancel-board.ts";
import { Layout } from "../../src/threads/layout.ts";
import { Slots } from "../../src/threads/slots.ts";
import type { DispatchedGroup } from "../../src/threads/step-group.ts";
import { Tracker } from "../../src/threads/tracker.ts";
import { StepContext } from "../../workers/steps/step-context.ts";
import { seedOf } from "../support/seed.ts";
import type { ReaderSetup } from "./log-reader.ts";
import type { WriterSetup } from "./log-writer.ts";

/** A group that nobody asks for its steps. */
const NO_STEPS = {} as DispatchedGroup;
const SEED = seedOf("LAYOUT_SEED");
const SLOTS = 12;
const READERS = 3;
const LOG_SIZE = 4096;

/** `pick` chooses among what is possible when the command runs, so that shrinking keeps commands meaningful. */
type Command =
  | { readonly do: "take" }
  | { readonly do: "start"; readonly pick: number; readonly reader: number }
  | { readonly do: "end"; readonly pick: number; readonly reader: number }
  | { readonly do: "cancel"; readonly pick: number; readonly cause: CancelCause }
  | { readonly do: "giveBack"; readonly pick: number }
  /** The writer goes on while the reader reads: after `after` looks it makes `cancels` short-lived runs that are canceled. */
  | { readonly do: "read"; readonly reader: number; readonly after: number; readonly cancels: number }
  /** So many short-lived runs that are canceled: makes readers fall behind by a ring or more. */
  | { readonly do: "storm"; readonly cancels: number };

const pick = fc.nat(1_000);
const reader = fc.nat(READERS - 1);
const cause = fc.constantFrom(...CANCEL_CAUSES);
// Around the size of the ring, where off by one shows, and on both sides of it.
const storm = fc.oneof(
  fc.integer({ min: LOG_SIZE - 3, max: LOG_SIZE + 3 }),
  fc.integer({ min: 1, max: 2 * LOG_SIZE + 3 }),
  fc.integer({ min: 1, max: 20 }),
);
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("take") }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("start"), pick, reader }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("end"), pick, reader }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("cancel"), pick, cause }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("giveBack"), pick }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("read"), reader, after: fc.nat(3), cancels: fc.oneof(fc.constant(0), storm) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("storm"), cancels: storm }) },
);

/** Where the count of cancels starts: just before it turns negative, before it comes back to 0, or anywhere. */
const head = fc.oneof(
  fc.nat(LOG_SIZE + 10).map((before) => 2 ** 31 - 1 - before),
  fc.nat(LOG_SIZE + 10).map((before) => -1 - before),
  fc.constant(0),
  fc.integer(),
);

/** One thread's side: the steps it has and how far it has read. What it does with both is what `CancelWatch` does. */
class Reader {
  readonly held = new Map<number, StepContext>();
  readonly #board: CancelBoard;
  readonly #tracker: Tracker;
  readonly #row: number;
  #seen: number;

  constructor(layout: Layout, threadId: number) {
    this.#board = new CancelBoard(layout);
    this.#tracker = new Tracker(layout);
    this.#row = this.#tracker.claim(threadId);
    this.#seen = this.#board.head();
    this.#board.acknowledge(this.#row, this.#seen);
  }

  start(slot: number): void {
    const thread = { board: this.#board, tracker: this.#tracker, row: this.#row, log: () => {} };
    const context = new StepContext(thread, slot, this.#board.generation(slot));
    this.held.set(slot, context);
    this.#tracker.countStart(this.#row);
    context.stopIfCanceled();
  }

  /** Gives how many entries of the log it looked at, undefined when it looked at all its steps instead. */
  read(whileReading: (looks: number) => void): number | undefined {
    let looks = 0;
    let all = false;
    this.#seen = this.#board.readLog(
      this.#seen,
      (slot) => {
        this.held.get(slot)?.stopIfCanceled();
        whileReading(++looks);
      },
      () => {
        all = true;
        for (const context of this.held.values()) context.stopIfCanceled();
      },
    );
    this.#board.acknowledge(this.#row, this.#seen);
    return all ? undefined : looks;
  }

  hasSeen(position: number): boolean {
    return this.#board.hasAcknowledged(this.#row, position);
  }

  notified(slot: number): CancelCause | undefined {
    return this.held.get(slot)?.cause;
  }
}

class Run {
  readonly #board: CancelBoard;
  readonly #slots: Slots;
  readonly #readers: readonly Reader[];
  /** The model: slots given out, and the first cause of each. */
  readonly #causes = new Map<number, CancelCause | undefined>();
  /** The model: how many cancels each reader has not read. */
  readonly #behind: number[] = Array.from({ length: READERS }, () => 0);
  /** The model: what each reader has to know of: what it held and was canceled when it read last, or when it started. */
  readonly #known: Map<number, CancelCause>[] = Array.from({ length: READERS }, () => new Map());

  constructor(startHead: number) {
    const layout = Layout.allocate({ slots: SLOTS, rows: READERS });
    this.#board = CancelBoard.create(layout, startHead);
    this.#slots = new Slots(this.#board, SLOTS);
    this.#readers = Array.from({ length: READERS }, (_, n) => new Reader(layout, n + 1));
  }

  perform(step: Command): void {
    switch (step.do) {
      case "take":
        // One slot is kept for the runs of a storm.
        if (this.#causes.size < SLOTS - 1) this.#take();
        break;
      case "start": {
        const slot = this.#choose([...this.#causes.keys()], step.pick);
        const at = this.#reader(step.reader);
        if (slot === undefined || at.held.has(slot)) break;
        at.start(slot);
        const cause = this.#causes.get(slot);
        if (cause !== undefined) this.#known[step.reader]?.set(slot, cause);
        break;
      }
      case "end": {
        const slot = this.#choose([...this.#reader(step.reader).held.keys()], step.pick);
        if (slot === undefined) break;
        this.#reader(step.reader).held.delete(slot);
        this.#known[step.reader]?.delete(slot);
        break;
      }
      case "cancel": {
        const slot = this.#choose([...this.#causes.keys()], step.pick);
        if (slot !== undefined) this.#cancel(slot, step.cause);
        break;
      }
      case "giveBack": {
        const free = [...this.#causes.keys()].filter((slot) => this.#readers.every(({ held }) => !held.has(slot)));
        const slot = this.#choose(free, step.pick);
        if (slot !== undefined) this.#giveBack(slot);
        break;
      }
      case "read":
        this.#read(step.reader, step.after, step.cancels);
        break;
      case "storm":
        this.#storm(step.cancels);
        break;
    }
    this.#check();
  }

  readAll(): void {
    for (let n = 0; n < READERS; n++) this.#read(n, 0, 0);
    this.#check();
  }

  #take(): number {
    const slot = this.#slots.take(NO_STEPS);
    expect(this.#board.causeOf(slot, this.#board.generation(slot))).toBeUndefined();
    expect(this.#causes.has(slot)).toBe(false);
    this.#causes.set(slot, undefined);
    return slot;
  }

  #cancel(slot: number, cause: CancelCause): void {
    const first = this.#causes.get(slot) === undefined;
    const before = this.#board.head();
    expect(this.#board.cancel(slot, this.#board.generation(slot), cause)).toBe(first);
    expect(this.#board.head()).toBe(first ? (before + 1) | 0 : before);
    if (!first) return;
    this.#causes.set(slot, cause);
    for (let n = 0; n < READERS; n++) this.#behind[n] = (this.#behind[n] ?? 0) + 1;
  }

  #giveBack(slot: number): void {
    this.#slots.giveBack(slot);
    this.#causes.delete(slot);
  }

  #storm(cancels: number): void {
    const slot = this.#take();
    this.#giveBack(slot);
    for (let n = 0; n < cancels; n++) {
      this.#slots.take(NO_STEPS);
      this.#causes.set(slot, undefined);
      this.#cancel(slot, "deadline");
      this.#giveBack(slot);
    }
  }

  #read(number: number, after: number, cancels: number): void {
    const at = this.#reader(number);
    const headBefore = this.#board.head();
    const behind = this.#behind[number] ?? 0;
    // At once: what was canceled before the read began is what the reader must know after it.
    const due = [...at.held.keys()].flatMap((slot) => {
      const cause = this.#causes.get(slot);
      return cause === undefined ? [] : [[slot, cause] as const];
    });
    expect(at.hasSeen(headBefore)).toBe(behind === 0);
    let interrupted = false;
    this.#behind[number] = 0;
    const looks = at.read((look) => {
      if (look !== after + 1 || interrupted) return;
      interrupted = true;
      this.#storm(cancels);
    });
    // Whoever is more than a ring behind must not have believed the log, nor one who meets an entry of the next lap.
    const unread = behind - (after + 1);
    const overrun = behind > LOG_SIZE || (interrupted && unread > 0 && unread + cancels > LOG_SIZE);
    expect(looks).toBe(overrun ? undefined : behind);
    expect(at.hasSeen(headBefore)).toBe(true);
    expect(at.hasSeen(this.#board.head())).toBe(!interrupted || cancels === 0);
    for (const [slot, cause] of due) this.#known[number]?.set(slot, cause);
  }

  /** A reader knows of everything it must, of nothing that is not so, and always the first cause. */
  #check(): void {
    for (const [slot, cause] of this.#causes) expect(this.#board.causeOf(slot, this.#board.generation(slot))).toBe(cause);
    expect(this.#slots.inUse).toBe(this.#causes.size);
    for (const [n, at] of this.#readers.entries()) {
      const notified = new Map([...at.held.keys()].flatMap((slot) => (at.notified(slot) === undefined ? [] : [[slot, at.notified(slot)]])));
      expect(notified).toEqual(this.#known[n]);
    }
  }

  #reader(n: number): Reader {
    return this.#readers[n] as Reader;
  }

  #choose(slots: readonly number[], pick: number): number | undefined {
    return slots[pick % Math.max(1, slots.length)];
  }
}

/** From now on until it is restored, the `count`th use of Atomics is followed by `then`, which uses the real ones. */
function interruptAfter(count: number, then: () => void): { readonly restore: () => boolean } {
  const atomics = Atomics as unknown as Record<string, (...values: unknown[]) => unknown>;
  let left = count;
  for (const name of ["load", "store", "add", "compareExchange", "notify"]) {
    const real = atomics[name];
    vi.spyOn(atomics, name).mockImplementation((...values) => {
      const result = real?.apply(Atomics, values);
      left--;
      if (left === 0) then();
      return result;
    });
  }
  return {
    restore: () => {
      vi.restoreAllMocks();
      return left <= 0;
    },
  };
}

describe("the cancel board and its log", () => {
  test(`every reader knows of every cancel it has read past (seed ${SEED})`, () => {
    fc.assert(
      fc.property(head, fc.array(command, { maxLength: 60 }), (startHead, commands) => {
        const run = new Run(startHead);
        for (const step of commands) run.perform(step);
        run.readAll();
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  test.each([
    ["2^31", 2 ** 31 - 10],
    ["2^32", -10],
  ])("the head comes to its wrap at %s and past it", (_at, startHead) => {
    const run = new Run(startHead);
    for (let round = 0; round < 20; round++) {
      run.perform({ do: "take" });
      run.perform({ do: "start", pick: 0, reader: round % READERS });
      run.perform({ do: "cancel", pick: 0, cause: "shutdown" });
      run.perform({ do: "read", reader: round % READERS, after: 0, cancels: 0 });
      run.perform({ do: "end", pick: 0, reader: round % READERS });
      run.perform({ do: "giveBack", pick: 0 });
    }
    run.readAll();
  });

  test.each([
    [LOG_SIZE - 1, 0, "log"],
    [LOG_SIZE, 0, "log"],
    [LOG_SIZE + 1, 0, "all"],
    [2 * LOG_SIZE, 0, "all"],
    [257 * LOG_SIZE, 0, "all"],
    // The first look has read the oldest entry already, so it may be overwritten; the second may not.
    [2, LOG_SIZE - 1, "log"],
    [2, LOG_SIZE, "all"],
    [LOG_SIZE, 1, "log"],
    [LOG_SIZE, 2, "all"],
    [LOG_SIZE, LOG_SIZE, "all"],
    // What the reader has acted on already may be overwritten as often as one likes.
    [1, 3 * LOG_SIZE, "log"],
  ])("%i cancels behind and %i more while it reads: it looks at the %s", (behind, more, expected) => {
    const layout = Layout.allocate({ slots: 2, rows: 1 });
    const board = CancelBoard.create(layout, -LOG_SIZE);
    const at = new Reader(layout, 1);
    const cancel = (slot: number) => {
      board.cancel(slot, board.generation(slot), "deadline");
      if (slot === 1) board.renew(slot);
    };
    at.start(0);
    cancel(0);
    for (let n = 1; n < behind; n++) cancel(1);
    const looks = at.read((look) => {
      if (look === 1) for (let n = 0; n < more; n++) cancel(1);
    });
    expect(looks).toBe(expected === "log" ? behind : undefined);
    expect(at.notified(0)).toBe("deadline");
  });

  test("a reader that reads between any two writes of a cancel misses nothing", () => {
    const layout = Layout.allocate({ slots: SLOTS, rows: 1 });
    const board = CancelBoard.create(layout, 2 ** 31 - 3);
    const at = new Reader(layout, 1);
    for (let slot = 0; slot < SLOTS; slot++) at.start(slot);
    // Any of its functions, as the types of all of them together say nothing.
    const atomics = Atomics as unknown as Record<string, (...values: unknown[]) => unknown>;
    const writes = ["compareExchange", "add", "notify"].map((name) => {
      const real = atomics[name];
      return vi.spyOn(atomics, name).mockImplementation((...values) => {
        const result = real?.apply(Atomics, values);
        // What the reader writes must not make it read again.
        if (!reading) {
          reading = true;
          at.read(() => {});
          reading = false;
        }
        return result;
      });
    });
    let reading = false;
    try {
      for (let slot = 0; slot < SLOTS; slot++) {
        board.cancel(slot, 0, "shutdown");
        at.read(() => {});
        expect(at.notified(slot)).toBe("shutdown");
      }
      for (const write of writes) expect(write.mock.calls.length).toBeGreaterThanOrEqual(SLOTS);
    } finally {
      vi.restoreAllMocks();
    }
  });

  test("a writer that dies after any of its uses of Atomics hides no other's cancel and no own", () => {
    for (const startHead of [0, 2 ** 31 - 2, -2, 3]) {
      for (let count = 1, came = true; came; count++) {
        const layout = Layout.allocate({ slots: 3, rows: 1, logSize: 4 });
        const board = CancelBoard.create(layout, startHead);
        const at = new Reader(layout, 1);
        for (let slot = 0; slot < 3; slot++) at.start(slot);
        const { restore } = interruptAfter(count, () => {
          throw new Error("died");
        });
        let died = false;
        try {
          board.cancel(1, 0, "sibling_failed");
        } catch {
          died = true;
        }
        came = restore();
        expect(died).toBe(came);
        board.cancel(2, 0, "deadline");
        at.read(() => {});
        expect(at.notified(0)).toBeUndefined();
        expect(at.notified(2)).toBe("deadline");
        // What the main thread does after its death.
        board.notify(1);
        at.read(() => {});
        expect(at.notified(1)).toBe("sibling_failed");
        expect(at.hasSeen(board.head())).toBe(true);
        expect(at.read(() => {})).toBe(0);
      }
    }
  });

  test("a writer that is held up after any of its uses of Atomics, while the log is filled so often, hides no cancel", () => {
    let schedules = 0;
    for (const rounds of [0, 1, 255, 256, 257]) {
      for (let more = -5; more <= 5; more++) {
        const others = 4 * rounds + more;
        for (let count = 1, came = others >= 0; came; count++) {
          for (const secondBefore of [true, false]) {
            schedules++;
            const layout = Layout.allocate({ slots: 3, rows: 1, logSize: 4 });
            const board = CancelBoard.create(layout);
            const at = new Reader(layout, 1);
            for (let slot = 0; slot < 3; slot++) at.start(slot);
            const { restore } = interruptAfter(count, () => {
              vi.restoreAllMocks();
              for (let n = 0; n < others; n++) board.notify(0);
              at.read(() => {});
              if (secondBefore) board.cancel(2, 0, "shutdown");
            });
            board.cancel(1, 0, "deadline");
            came = restore();
            at.read(() => {});
            expect([rounds, more, count, at.notified(1)]).toEqual([rounds, more, count, "deadline"]);
            board.cancel(2, 0, "shutdown");
            at.read(() => {});
            expect([rounds, more, count, at.notified(2)]).toEqual([rounds, more, count, "shutdown"]);
            // Whatever was written where, the log is believed again after one round.
            for (let n = 0; n < 8; n++) board.notify(0);
            at.read(() => {});
            board.notify(0);
            expect(at.read(() => {})).toBe(1);
          }
        }
      }
    }
    expect(schedules).toBeGreaterThan(500);
  });

  test("a slot's old generation reads and cancels nothing", () => {
    const board = CancelBoard.create(Layout.allocate({ slots: 1, rows: 1 }));
    for (let generation = 0; generation < 3; generation++) {
      expect(board.generation(0)).toBe(generation);
      expect(board.cancel(0, generation - 1, "deadline")).toBe(false);
      expect(board.causeOf(0, generation)).toBeUndefined();
      expect(board.cancel(0, generation, "shutdown")).toBe(true);
      expect(board.causeOf(0, generation)).toBe("shutdown");
      expect(board.causeOf(0, generation - 1)).toBeUndefined();
      board.renew(0);
      expect(board.causeOf(0, generation)).toBeUndefined();
    }
  });

  test("notifies only the threads that run a step", () => {
    const layout = Layout.allocate({ slots: 2, rows: 3 });
    const [board, tracker] = [CancelBoard.create(layout), new Tracker(layout)];
    const [busy, idle] = [tracker.claim(1), tracker.claim(2)];
    tracker.countStart(busy);
    board.cancel(0, 0, "deadline");
    expect([board.bell(busy), board.bell(idle)]).toEqual([1, 0]);
    tracker.countEnd(busy);
    board.cancel(1, 0, "deadline");
    expect([board.bell(busy), board.bell(idle)]).toEqual([1, 0]);
  });

  test("a full board, a slot off the board and a block of the wrong size are refused", () => {
    const layout = Layout.allocate({ slots: 2, rows: 1 });
    const board = CancelBoard.create(layout);
    const slots = new Slots(board, 2);
    slots.take(NO_STEPS);
    slots.take(NO_STEPS);
    expect(() => slots.take(NO_STEPS)).toThrow("cancel board is full: 2 groups of steps are open");
    expect(() => board.causeOf(2, 0)).toThrow(RangeError);
    expect(() => board.cancel(-1, 0, "deadline")).toThrow(RangeError);
    expect(() => new Layout({ ...layout.handle, slots: 100 })).toThrow(RangeError);
    expect(() => Layout.allocate({ slots: 1, rows: 1, logSize: 12 })).toThrow(RangeError);
    expect(() => new CancelBoard(Layout.allocate({ slots: 2 ** 24 + 1, rows: 1 }))).toThrow(RangeError);
    const tracker = new Tracker(layout);
    tracker.claim(7);
    expect(() => tracker.claim(8)).toThrow("no free tracker row for thread 8: all 1 are taken");
  });
});

describe("a reader on a thread of its own", () => {
  const PATIENCE_MS = 60_000;
  // Several times what a wake-up takes where the reader has a core to itself.
  const SPIN_MS = 0.2;
  const NAP_MS = 0.05;
  const NEVER_NOTIFIED = new Int32Array(new SharedArrayBuffer(4));

  async function startReader(
    slots: number,
    startHead: number,
  ): Promise<{ layout: Layout; board: CancelBoard; notified: Int32Array; stop: () => Promise<number> }> {
    const layout = Layout.allocate({ slots, rows: 1 });
    const board = CancelBoard.create(layout, startHead);
    const notified = new Int32Array(new SharedArrayBuffer(4 * slots));
    const listening = new Int32Array(new SharedArrayBuffer(4));
    const workerData: ReaderSetup = { layout: layout.handle, notified: notified.buffer as SharedArrayBuffer, listening: listening.buffer };
    const worker = new Worker(fileURLToPath(new URL("./log-reader.ts", import.meta.url)), { workerData });
    const failed = once(worker, "error").then(([error]) => Promise.reject(error));
    failed.catch(() => {});
    const up = Atomics.waitAsync(listening, 0, 0, PATIENCE_MS);
    expect(await Promise.race([up.value, failed])).toBe("ok");
    return { layout, board, notified, stop: () => worker.terminate() };
  }

  /** Watches from outside, without a wake-up of its own: nothing here could make up for one that was lost. */
  function untilSeen(board: CancelBoard): void {
    const position = board.head();
    const startMs = performance.now();
    while (!board.hasAcknowledged(0, position)) {
      const waitedMs = performance.now() - startMs;
      // On a machine with one core the reader cannot run while this thread looks.
      if (waitedMs > SPIN_MS) Atomics.wait(NEVER_NOTIFIED, 0, 0, NAP_MS);
      if (waitedMs > PATIENCE_MS) throw new Error(`the reader slept through a cancel before ${position}`);
    }
  }

  test(`no wake-up is lost in 20 000 cancels that it hears of one by one (seed ${SEED})`, async () => {
    const cancels = 20_000;
    const random = randomFrom(SEED);
    const reader = await startReader(cancels, 2 ** 31 - 10_000);
    try {
      for (let slot = 0; slot < cancels; slot++) {
        const cause = CANCEL_CAUSES[slot % CANCEL_CAUSES.length] as CancelCause;
        reader.board.cancel(slot, 0, cause);
        // Every other time at once, so that the next cancel meets the reader on its way back to sleep; and now and then much later.
        untilSeen(reader.board);
        if (reader.notified[slot] !== 1 + CANCEL_CAUSES.indexOf(cause)) expect([slot, reader.notified[slot]]).toEqual([slot, cause]);
        const pause = performance.now() + (random() < 0.5 ? 0 : random() * 0.05);
        while (performance.now() < pause);
      }
    } finally {
      await reader.stop();
    }
  });

  test(`nothing is lost where several threads cancel at one time (seed ${SEED})`, async () => {
    const slots = 60_000;
    const writers = 3;
    const reader = await startReader(slots, 2 ** 31 - 20_000);
    const gate = new Int32Array(new SharedArrayBuffer(4));
    const threads = Array.from({ length: writers }, (_, first) => {
      const workerData: WriterSetup = { layout: reader.layout.handle, first, step: writers, seed: SEED, gate: gate.buffer };
      return new Worker(fileURLToPath(new URL("./log-writer.ts", import.meta.url)), { workerData });
    });
    try {
      const ended = Promise.all(threads.map((thread) => once(thread, "exit")));
      while (Atomics.load(gate, 0) < writers) await new Promise((resolve) => setTimeout(resolve, 1));
      Atomics.store(gate, 0, -1);
      await ended;
      untilSeen(reader.board);
      expect(reader.board.head()).toBe((2 ** 31 - 20_000 + slots) | 0);
      for (const [slot, cause] of reader.notified.entries()) {
        if (cause !== 1 + (slot % CANCEL_CAUSES.length)) expect([slot, cause]).toEqual([slot, 1 + (slot % CANCEL_CAUSES.length)]);
      }
    } finally {
      await Promise.all([reader.stop(), ...threads.map((thread) => thread.terminate())]);
    }
  });

  test(`nothing is lost in bursts of up to two rings (seed ${SEED})`, async () => {
    const random = randomFrom(SEED);
    const slots = 60_000;
    const reader = await startReader(slots, -30_000);
    try {
      let slot = 0;
      while (slot < slots) {
        const end = Math.min(slots, slot + 1 + Math.floor(random() ** 3 * 2 * LOG_SIZE));
        while (slot < end) reader.board.cancel(slot++, 0, "deadline");
        untilSeen(reader.board);
        expect(reader.notified.subarray(0, slot).every((cause) => cause === 1 + CANCEL_CAUSES.indexOf("deadline"))).toBe(true);
        expect(reader.notified.subarray(slot).every((cause) => cause === 0)).toBe(true);
      }
    } finally {
      await reader.stop();
    }
  });
});
