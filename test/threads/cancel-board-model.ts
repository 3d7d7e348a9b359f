import fc from "fast-check";
import { expect } from "vitest";
import { CancelBoard } from "../../src/threads/cancel-board.ts";
import { Layout } from "../../src/threads/layout.ts";
import { Slots } from "../../src/threads/places.ts";
import type { SlotGroup } from "../../src/threads/slot-group.ts";
import { BoardReader } from "./board-reader.ts";
import { CAUSES, type Cause } from "./causes.ts";

export const LOG_SIZE = 4096;
export const READERS = 3;
const SLOTS = 12;
/** A group that nobody asks for its tasks. */
const NO_TASKS = {} as SlotGroup;

/** `pick` chooses among what is possible when the command runs, so that shrinking keeps commands meaningful. */
export type Command =
  | { readonly do: "take" }
  | { readonly do: "start"; readonly pick: number; readonly reader: number }
  | { readonly do: "end"; readonly pick: number; readonly reader: number }
  | { readonly do: "cancel"; readonly pick: number; readonly cause: Cause }
  | { readonly do: "giveBack"; readonly pick: number }
  /** The writer goes on while the reader reads: after `after` looks it makes `cancels` short-lived groups that are canceled. */
  | { readonly do: "read"; readonly reader: number; readonly after: number; readonly cancels: number }
  /** So many short-lived groups that are canceled: makes readers fall behind by a ring or more. */
  | { readonly do: "storm"; readonly cancels: number };

const pick = fc.nat(1_000);
const reader = fc.nat(READERS - 1);
const cause = fc.constantFrom(...CAUSES);
// Around the size of the ring, where off by one shows, and on both sides of it.
const storm = fc.oneof(
  fc.integer({ min: LOG_SIZE - 3, max: LOG_SIZE + 3 }),
  fc.integer({ min: 1, max: 2 * LOG_SIZE + 3 }),
  fc.integer({ min: 1, max: 20 }),
);

export const COMMANDS: fc.Arbitrary<Command[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant("take") }) },
    { weight: 8, arbitrary: fc.record({ do: fc.constant("start"), pick, reader }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("end"), pick, reader }) },
    { weight: 8, arbitrary: fc.record({ do: fc.constant("cancel"), pick, cause }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("giveBack"), pick }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant("read"), reader, after: fc.nat(3), cancels: fc.oneof(fc.constant(0), storm) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("storm"), cancels: storm }) },
  ),
  { maxLength: 60 },
);

/** Where the count of cancels starts: just before it turns negative, before it comes back to 0, or anywhere. */
export const START_HEAD = fc.oneof(
  fc.nat(LOG_SIZE + 10).map((before) => 2 ** 31 - 1 - before),
  fc.nat(LOG_SIZE + 10).map((before) => -1 - before),
  fc.constant(0),
  fc.integer(),
);

/** A board and its readers beside a model of what each reader must know. */
export class BoardRun {
  readonly #board: CancelBoard;
  readonly #slots: Slots;
  readonly #readers: readonly BoardReader[];
  /** The model: slots given out, and the first cause of each. */
  readonly #causes = new Map<number, Cause | undefined>();
  /** The model: how many cancels each reader has not read. */
  readonly #behind: number[] = Array.from({ length: READERS }, () => 0);
  /** The model: what each reader has to know of: what it held and was canceled when it read last, or when it started. */
  readonly #known: Map<number, Cause>[] = Array.from({ length: READERS }, () => new Map());

  constructor(startHead: number) {
    const layout = Layout.allocate({ slots: SLOTS, rows: READERS, logSize: LOG_SIZE });
    this.#board = CancelBoard.create(layout, CAUSES, startHead);
    this.#slots = new Slots(this.#board, SLOTS);
    this.#readers = Array.from({ length: READERS }, (_, n) => new BoardReader(layout, n + 1));
  }

  perform(command: Command): void {
    switch (command.do) {
      case "take":
        // One slot is kept for the groups of a storm.
        if (this.#causes.size < SLOTS - 1) this.#take();
        break;
      case "start":
        this.#start(command.pick, command.reader);
        break;
      case "end": {
        const slot = this.#choose([...this.#reader(command.reader).held.keys()], command.pick);
        if (slot === undefined) break;
        this.#reader(command.reader).end(slot);
        this.#known[command.reader]?.delete(slot);
        break;
      }
      case "cancel": {
        const slot = this.#choose([...this.#causes.keys()], command.pick);
        if (slot !== undefined) this.#cancel(slot, command.cause);
        break;
      }
      case "giveBack": {
        const free = [...this.#causes.keys()].filter((slot) => this.#readers.every(({ held }) => !held.has(slot)));
        const slot = this.#choose(free, command.pick);
        if (slot !== undefined) this.#giveBack(slot);
        break;
      }
      case "read":
        this.#read(command.reader, command.after, command.cancels);
        break;
      case "storm":
        this.#storm(command.cancels);
        break;
    }
    this.#check();
  }

  readAll(): void {
    for (let n = 0; n < READERS; n++) this.#read(n, 0, 0);
    this.#check();
  }

  #take(): number {
    const slot = this.#slots.take(NO_TASKS);
    expect(this.#board.causeOf(slot, this.#board.generation(slot))).toBeUndefined();
    expect(this.#causes.has(slot)).toBe(false);
    this.#causes.set(slot, undefined);
    return slot;
  }

  #start(pick: number, reader: number): void {
    const slot = this.#choose([...this.#causes.keys()], pick);
    if (slot === undefined || this.#reader(reader).held.has(slot)) return;
    this.#reader(reader).start(slot);
    const cause = this.#causes.get(slot);
    if (cause !== undefined) this.#known[reader]?.set(slot, cause);
  }

  #cancel(slot: number, cause: Cause): void {
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
      this.#slots.take(NO_TASKS);
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
    for (const [slot, cause] of due) this.#known[number]?.set(slot, cause);
  }

  /** A reader knows of everything it must, of nothing that is not so, and always the first cause. */
  #check(): void {
    for (const [slot, cause] of this.#causes) expect(this.#board.causeOf(slot, this.#board.generation(slot))).toBe(cause);
    expect(this.#slots.inUse).toBe(this.#causes.size);
    for (const [n, at] of this.#readers.entries()) {
      const heard = new Map([...at.held.keys()].flatMap((slot) => (at.heard(slot) === undefined ? [] : [[slot, at.heard(slot)]])));
      expect(heard).toEqual(this.#known[n]);
    }
  }

  #reader(n: number): BoardReader {
    return this.#readers[n] as BoardReader;
  }

  #choose(slots: readonly number[], pick: number): number | undefined {
    return slots[pick % Math.max(1, slots.length)];
  }
}
