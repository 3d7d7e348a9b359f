import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { CANCEL_CAUSES, type CancelCause } from "../../src/concurrency/cancel-cause.ts";
import { CancelBoard } from "../../src/threads/cancel-board.ts";
import { Layout, LOG_SIZE } from "../../src/threads/layout.ts";
import { StepContext } from "../../workers/runtime/step-context.ts";
import type { ReaderSetup } from "./log-reader.ts";
import type { WriterSetup } from "./log-writer.ts";
import { randomFrom, seedOf } from "./seeded.ts";

const SEED = seedOf("LAYOUT_SEED");
const SLOTS = 12;
const READERS = 3;

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
  readonly #layout: Layout;
  readonly #row: number;
  #seen: number;

  constructor(layout: Layout, threadId: number) {
    this.#layout = layout;
    this.#row = layout.claimRow(threadId);
    this.#seen = layout.head();
    layout.acknowledge(this.#row, this.#seen);
  }

  start(slot: number): void {
    const context = new StepContext(this.#layout, this.#row, slot, undefined, () => {});
    this.held.set(slot, context);
    this.#layout.countStart(this.#row);
    context.stopIfCanceled();
  }

  /** Gives how many entries of the log it looked at, undefined when it looked at all its steps instead. */
  read(whileReading: (looks: number) => void): number | undefined {
    let looks = 0;
    let all = false;
    this.#seen = this.#layout.readLog(
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
    this.#layout.acknowledge(this.#row, this.#seen);
    return all ? undefined : looks;
  }

  hasSeen(position: number): boolean {
    return this.#layout.hasSeen(this.#row, position);
  }

  told(slot: number): CancelCause | undefined {
    return this.held.get(slot)?.cause;
  }
}

class Run {
  readonly #layout: Layout;
  readonly #board: CancelBoard;
  readonly #readers: readonly Reader[];
  /** The model: slots given out, and the first cause of each. */
  readonly #causes = new Map<number, CancelCause | undefined>();
  /** The model: how many cancels each reader has not read. */
  readonly #behind: number[] = Array.from({ length: READERS }, () => 0);
  /** The model: what each reader has to know of: what it held and was canceled when it read last, or when it started. */
  readonly #known: Map<number, CancelCause>[] = Array.from({ length: READERS }, () => new Map());

  constructor(startHead: number) {
    this.#layout = Layout.allocate(SLOTS, READERS, startHead);
    this.#board = new CancelBoard(this.#layout);
    this.#readers = Array.from({ length: READERS }, (_, n) => new Reader(this.#layout, n + 1));
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
    const slot = this.#board.take();
    expect(this.#layout.causeOf(slot)).toBeUndefined();
    expect(this.#causes.has(slot)).toBe(false);
    this.#causes.set(slot, undefined);
    return slot;
  }

  #cancel(slot: number, cause: CancelCause): void {
    const first = this.#causes.get(slot) === undefined;
    const before = this.#layout.head();
    expect(this.#board.cancel(slot, cause)).toBe(first);
    expect(this.#layout.head()).toBe(first ? (before + 1) | 0 : before);
    if (!first) return;
    this.#causes.set(slot, cause);
    for (let n = 0; n < READERS; n++) this.#behind[n] = (this.#behind[n] ?? 0) + 1;
  }

  #giveBack(slot: number): void {
    this.#board.giveBack(slot);
    this.#causes.delete(slot);
  }

  #storm(cancels: number): void {
    const slot = this.#take();
    this.#giveBack(slot);
    for (let n = 0; n < cancels; n++) {
      this.#board.take();
      this.#causes.set(slot, undefined);
      this.#cancel(slot, "deadline");
      this.#giveBack(slot);
    }
  }

  #read(number: number, after: number, cancels: number): void {
    const at = this.#reader(number);
    const headBefore = this.#layout.head();
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
    expect(at.hasSeen(this.#layout.head())).toBe(!interrupted || cancels === 0);
    for (const [slot, cause] of due) this.#known[number]?.set(slot, cause);
  }

  /** A reader knows of everything it must, of nothing that is not so, and always the first cause. */
  #check(): void {
    for (const [slot, cause] of this.#causes) expect(this.#layout.causeOf(slot)).toBe(cause);
    expect(this.#board.inUse).toBe(this.#causes.size);
    for (const [n, at] of this.#readers.entries()) {
      const told = new Map([...at.held.keys()].flatMap((slot) => (at.told(slot) === undefined ? [] : [[slot, at.told(slot)]])));
      expect(told).toEqual(this.#known[n]);
    }
  }

  #reader(n: number): Reader {
    return this.#readers[n] as Reader;
  }

  #choose(slots: readonly number[], pick: number): number | undefined {
    return slots[pick % Math.max(1, slots.length)];
  }
}

/** From now on the thread dies right after its first use of this function. */
function dieAfter(name: string) {
  const atomics = Atomics as unknown as Record<string, (...values: unknown[]) => unknown>;
  const real = atomics[name];
  return vi.spyOn(atomics, name).mockImplementation((...values) => {
    real?.apply(Atomics, values);
    throw new Error("died");
  });
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
    const layout = Layout.allocate(2, 1, -LOG_SIZE);
    const at = new Reader(layout, 1);
    const cancel = (slot: number) => {
      layout.cancel(slot, "deadline");
      if (slot === 1) layout.clear(slot);
    };
    at.start(0);
    cancel(0);
    for (let n = 1; n < behind; n++) cancel(1);
    const looks = at.read((look) => {
      if (look === 1) for (let n = 0; n < more; n++) cancel(1);
    });
    expect(looks).toBe(expected === "log" ? behind : undefined);
    expect(at.told(0)).toBe("deadline");
  });

  test("a reader that reads between any two writes of a cancel misses nothing", () => {
    const layout = Layout.allocate(SLOTS, 1, 2 ** 31 - 3);
    const at = new Reader(layout, 1);
    for (let slot = 0; slot < SLOTS; slot++) at.start(slot);
    // Any of its functions, as the types of all of them together say nothing.
    const atomics = Atomics as unknown as Record<string, (...values: unknown[]) => unknown>;
    const writes = ["compareExchange", "add", "store", "notify"].map((name) => {
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
        layout.cancel(slot, "shutdown");
        at.read(() => {});
        expect(at.told(slot)).toBe("shutdown");
      }
      for (const write of writes) expect(write.mock.calls.length).toBeGreaterThanOrEqual(SLOTS);
    } finally {
      vi.restoreAllMocks();
    }
  });

  test("a writer that is held up, or dies, between any two writes of a cancel hides no other's and no own", () => {
    for (const stopAfter of ["compareExchange", "add", "store"]) {
      for (const startHead of [0, 2 ** 31 - 2, -2, LOG_SIZE - 1]) {
        const layout = Layout.allocate(3, 1, startHead);
        const at = new Reader(layout, 1);
        for (let slot = 0; slot < 3; slot++) at.start(slot);
        const spy = dieAfter(stopAfter);
        expect(() => layout.cancel(1, "sibling_failed")).toThrow("died");
        spy.mockRestore();
        layout.cancel(2, "deadline");
        at.read(() => {});
        expect(at.told(0)).toBeUndefined();
        expect(at.told(2)).toBe("deadline");
        // Once it has come to the head, another one's cancel tells of it too; before that only the ring that follows its death.
        if (stopAfter !== "compareExchange") expect(at.told(1)).toBe("sibling_failed");
        layout.ring(1);
        at.read(() => {});
        expect(at.told(1)).toBe("sibling_failed");
        expect(at.hasSeen(layout.head())).toBe(true);
        expect(at.read(() => {})).toBe(0);
      }
    }
  });

  test("a writer that overwrites the entry of a later lap with its own hides nothing", () => {
    const layout = Layout.allocate(3, 1);
    const at = new Reader(layout, 1);
    for (let slot = 0; slot < 3; slot++) at.start(slot);
    const store = Atomics.store.bind(Atomics) as (array: Int32Array, index: number, value: number) => number;
    // The first writer has its place and is held up for a whole lap before it writes its entry.
    let heldUp: (() => void) | undefined;
    const spy = vi.spyOn(Atomics, "store").mockImplementation(((array: Int32Array, index: number, value: number) => {
      if (heldUp === undefined) heldUp = () => void store(array, index, value);
      else store(array, index, value);
      return value;
    }) as typeof Atomics.store);
    layout.cancel(0, "deadline");
    for (let n = 0; n < LOG_SIZE - 1; n++) layout.ring(0);
    at.read(() => {});
    expect(at.told(0)).toBe("deadline");
    layout.cancel(1, "shutdown");
    heldUp?.();
    spy.mockRestore();
    expect(at.read(() => {})).toBeUndefined();
    expect(at.told(1)).toBe("shutdown");
    expect(at.told(2)).toBeUndefined();
  });

  test("rings only the threads that run a step", () => {
    const layout = Layout.allocate(2, 3);
    const [busy, idle] = [layout.claimRow(1), layout.claimRow(2)];
    layout.countStart(busy);
    layout.cancel(0, "deadline");
    expect([layout.bell(busy), layout.bell(idle)]).toEqual([1, 0]);
    layout.countEnd(busy);
    layout.cancel(1, "deadline");
    expect([layout.bell(busy), layout.bell(idle)]).toEqual([1, 0]);
  });

  test("a full board, a slot off the board and a block of the wrong size are refused", () => {
    const board = new CancelBoard(Layout.allocate(2, 1));
    board.take();
    board.take();
    expect(() => board.take()).toThrow("cancel board is full: 2 runs are open");
    const layout = Layout.allocate(2, 1);
    expect(() => layout.causeOf(2)).toThrow(RangeError);
    expect(() => layout.cancel(-1, "deadline")).toThrow(RangeError);
    expect(() => new Layout({ ...layout.handle, slots: 100 })).toThrow(RangeError);
    expect(() => Layout.allocate(2 ** 24 + 1, 1)).toThrow(RangeError);
    layout.claimRow(7);
    expect(() => layout.claimRow(8)).toThrow("no free tracker row for thread 8: all 1 are taken");
  });
});

describe("a reader on a thread of its own", () => {
  const PATIENCE_MS = 60_000;
  // Several times what a wake-up takes where the reader has a core to itself.
  const SPIN_MS = 0.2;
  const NAP_MS = 0.05;
  const NEVER_NOTIFIED = new Int32Array(new SharedArrayBuffer(4));

  async function startReader(slots: number, startHead: number): Promise<{ layout: Layout; told: Int32Array; stop: () => Promise<number> }> {
    const layout = Layout.allocate(slots, 1, startHead);
    const told = new Int32Array(new SharedArrayBuffer(4 * slots));
    const listening = new Int32Array(new SharedArrayBuffer(4));
    const workerData: ReaderSetup = { layout: layout.handle, told: told.buffer as SharedArrayBuffer, listening: listening.buffer };
    const worker = new Worker(fileURLToPath(new URL("./log-reader.ts", import.meta.url)), { workerData });
    const failed = once(worker, "error").then(([error]) => Promise.reject(error));
    failed.catch(() => {});
    const up = Atomics.waitAsync(listening, 0, 0, PATIENCE_MS);
    expect(await Promise.race([up.value, failed])).toBe("ok");
    return { layout, told, stop: () => worker.terminate() };
  }

  /** Watches from outside, without a wake-up of its own: nothing here could make up for one that was lost. */
  function untilSeen(layout: Layout): void {
    const position = layout.head();
    const startMs = performance.now();
    while (!layout.hasSeen(0, position)) {
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
        reader.layout.cancel(slot, cause);
        // Every other time at once, so that the next cancel meets the reader on its way back to sleep; and now and then much later.
        untilSeen(reader.layout);
        if (reader.told[slot] !== 1 + CANCEL_CAUSES.indexOf(cause)) expect([slot, reader.told[slot]]).toEqual([slot, cause]);
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
      untilSeen(reader.layout);
      expect(reader.layout.head()).toBe((2 ** 31 - 20_000 + slots) | 0);
      for (const [slot, cause] of reader.told.entries()) {
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
        while (slot < end) reader.layout.cancel(slot++, "deadline");
        untilSeen(reader.layout);
        expect(reader.told.subarray(0, slot).every((cause) => cause === 1 + CANCEL_CAUSES.indexOf("deadline"))).toBe(true);
        expect(reader.told.subarray(slot).every((cause) => cause === 0)).toBe(true);
      }
    } finally {
      await reader.stop();
    }
  });
});
