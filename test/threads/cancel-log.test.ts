import { afterEach, describe, expect, test, vi } from "vitest";
import { CancelBoard } from "../../src/threads/cancel-board.ts";
import { Layout } from "../../src/threads/layout.ts";
import { Tracker } from "../../src/threads/tracker.ts";
import { CancelWatch } from "../../src/threads/worker/cancel-watch.ts";
import { TaskContext } from "../../src/threads/worker/task-context.ts";
import { CAUSES, type Cause } from "./causes.ts";

const LOG_SIZE = 64;
const SMALL_LOG = 4;

/** One thread's side of the board, on the test's own thread: its tasks, one for each slot, and the watch that reads the log for them. */
class BoardReader {
  readonly held = new Map<number, TaskContext<Cause>>();
  readonly #board: ObservedBoard;
  readonly #tracker: Tracker;
  readonly #row: number;
  readonly #watch: CancelWatch;

  constructor(layout: Layout, threadId: number) {
    this.#board = new ObservedBoard(layout, CAUSES);
    this.#tracker = new Tracker(layout);
    this.#row = this.#tracker.claim(threadId);
    this.#watch = new CancelWatch(this.#board, this.#row);
  }

  start(slot: number): void {
    const context = new TaskContext<Cause>(this.#board, slot, this.#board.generation(slot));
    this.held.set(slot, context);
    this.#tracker.countStart(this.#row);
    this.#watch.add(context);
  }

  end(slot: number): void {
    this.#watch.remove(this.held.get(slot) as TaskContext);
    this.#tracker.countEnd(this.#row);
    this.held.delete(slot);
  }

  /** Gives how many entries of the log it looked at, undefined when it looked at all its tasks instead. */
  read(whileReading: (looks: number) => void = () => {}): number | undefined {
    this.#board.whileReading = whileReading;
    this.#watch.catchUp();
    return this.#board.looks;
  }

  /** Whether it has read the log up to this head. */
  hasSeen(head: number): boolean {
    return this.#board.seen === head;
  }

  heard(slot: number): string | undefined {
    return this.held.get(slot)?.cause;
  }
}

/** A board that tells what is read of its log, and lets a test act in the middle of it. */
class ObservedBoard extends CancelBoard {
  whileReading: (looks: number) => void = () => {};
  seen = this.head();
  looks: number | undefined;

  override readLog(from: number, look: (slot: number) => void, lookAtAll: () => void): number {
    let looks = 0;
    let all = false;
    this.seen = super.readLog(
      from,
      (slot) => {
        look(slot);
        this.whileReading(++looks);
      },
      () => {
        all = true;
        lookAtAll();
      },
    );
    this.looks = all ? undefined : looks;
    return this.seen;
  }
}

afterEach(() => void vi.restoreAllMocks());

/** From now on until it is restored, each use of these functions of Atomics is followed by `then`. */
function follow(names: readonly string[], then: () => void): void {
  // Any of its functions, as the types of all of them together say nothing.
  const atomics = Atomics as unknown as Record<string, (...values: unknown[]) => unknown>;
  for (const name of names) {
    const real = atomics[name];
    vi.spyOn(atomics, name).mockImplementation((...values) => {
      const result = real?.apply(Atomics, values);
      then();
      return result;
    });
  }
}

/** From now on the `count`th use of Atomics is followed by `then`, which uses the real ones. Returns how to end that, and whether it came. */
function interruptAfter(count: number, then: () => void): () => boolean {
  let left = count;
  follow(["load", "store", "add", "compareExchange", "notify"], () => {
    left--;
    if (left === 0) then();
  });
  return () => {
    vi.restoreAllMocks();
    return left <= 0;
  };
}

/** A small board, and a reader with a task on each of its slots. */
function smallBoard(head = 0): { board: CancelBoard; at: BoardReader } {
  const layout = Layout.allocate({ slots: 3, rows: 1, logSize: SMALL_LOG });
  const board = CancelBoard.create(layout, CAUSES, head);
  const at = new BoardReader(layout, 1);
  for (let slot = 0; slot < 3; slot++) at.start(slot);
  return { board, at };
}

describe("a reader", () => {
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
  ])("%i cancels behind and %i more while it reads looks at the %s", (behind, more, expected) => {
    const layout = Layout.allocate({ slots: 2, rows: 1, logSize: LOG_SIZE });
    const board = CancelBoard.create(layout, CAUSES, -LOG_SIZE);
    const at = new BoardReader(layout, 1);
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
    expect(at.heard(0)).toBe("deadline");
  });

  test("that reads between any two writes of a cancel misses nothing", () => {
    const { board, at } = smallBoard(2 ** 31 - 2);
    const writes = ["compareExchange", "add", "notify"];
    let reading = false;
    let reads = 0;
    follow(writes, () => {
      // What the reader writes must not make it read again.
      if (reading) return;
      reading = true;
      at.read();
      reads++;
      reading = false;
    });
    for (let slot = 0; slot < 3; slot++) {
      board.cancel(slot, 0, "shutdown");
      at.read();
      expect(at.heard(slot)).toBe("shutdown");
    }
    expect(reads).toBeGreaterThanOrEqual(3 * writes.length);
  });
});

describe("a writer", () => {
  test("that dies after any of its uses of Atomics hides no other's cancel and no own", () => {
    let deaths = 0;
    for (const head of [0, 2 ** 31 - 2, -2, 3]) {
      for (let count = 1, came = true; came; count++) {
        const { board, at } = smallBoard(head);
        const restore = interruptAfter(count, () => {
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
        if (died) deaths++;
        board.cancel(2, 0, "deadline");
        at.read();
        expect(at.heard(0)).toBeUndefined();
        expect(at.heard(2)).toBe("deadline");
        // What the main thread does after its death.
        board.notify(1);
        at.read();
        expect(at.heard(1)).toBe("sibling_failed");
        expect(at.hasSeen(board.head())).toBe(true);
        expect(at.read()).toBe(0);
      }
    }
    expect(deaths).toBeGreaterThan(4 * 8);
  });
});
