import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { CancelBoard } from "../../src/threads/cancel-board.ts";
import { Layout } from "../../src/threads/layout.ts";
import { Tracker } from "../../src/threads/tracker.ts";
import { CancelWatch } from "../../src/threads/worker/cancel-watch.ts";
import { TaskContext } from "../../src/threads/worker/task-context.ts";
import { seedOf } from "../support/seed.ts";
import { CAUSES } from "./causes.ts";

const SEED = seedOf("CANCEL_WATCH_SEED");
const SLOTS = 3;
const LOG_SIZE = 16;

let layout: Layout;
let board: CancelBoard;
let looked: TaskContext[];
let watch: CancelWatch;

beforeEach(() => {
  layout = Layout.allocate({ slots: SLOTS, rows: 1, logSize: LOG_SIZE });
  board = CancelBoard.create(layout, CAUSES);
  looked = [];
  watch = new CancelWatch(board, new Tracker(layout).claim(1));
});

/** A context that tells who looks at it. */
class Watched extends TaskContext {
  override look(): void {
    looked.push(this);
    super.look();
  }
}

function add(slot: number): TaskContext {
  const context = new Watched(board, slot, board.generation(slot));
  watch.add(context);
  return context;
}

/** Whom the watch holds for this slot, in the order in which it looks at them. */
function held(slot: number): readonly TaskContext[] {
  looked = [];
  watch.look(slot);
  return looked;
}

describe("the tasks of one slot", () => {
  test(`are what a list without links would hold, whatever comes and goes beside them (seed ${SEED})`, () => {
    const comesOrGoes = fc.record({ slot: fc.nat(SLOTS - 1), comes: fc.boolean(), pick: fc.nat(1_000) });
    fc.assert(
      fc.property(fc.array(comesOrGoes, { maxLength: 60 }), (commands) => {
        watch = new CancelWatch(board, 0);
        const model: TaskContext[][] = Array.from({ length: SLOTS }, () => []);
        for (const { slot, comes, pick } of commands) {
          const tasks = model[slot] as TaskContext[];
          if (comes) tasks.push(add(slot));
          else if (tasks.length > 0) {
            const [ended] = tasks.splice(pick % tasks.length, 1) as [TaskContext];
            watch.remove(ended);
            // Whoever holds the ended one holds nobody else.
            expect([ended.older, ended.newer]).toEqual([undefined, undefined]);
          }
          for (let each = 0; each < SLOTS; each++) {
            const expected = (model[each] as TaskContext[]).toReversed();
            const seen = held(each);
            expect(seen.length).toBe(expected.length);
            expect(seen.every((task, n) => task === expected[n])).toBe(true);
          }
        }
      }),
      { seed: SEED, numRuns: 200 },
    );
  });

  test("all hear of its cancel, and those of other slots do not", () => {
    const tasks = [add(1), add(0), add(1), add(2), add(1)];
    watch.remove(tasks[2] as TaskContext);
    board.cancel(1, 0, "shutdown");
    watch.catchUp();
    expect(tasks.map(({ cause }) => cause)).toEqual(["shutdown", undefined, undefined, undefined, "shutdown"]);
  });
});

test("a task that comes after its cancel has been read hears of it all the same", () => {
  add(0);
  board.cancel(0, 0, "deadline");
  watch.catchUp();
  expect(add(0).cause).toBe("deadline");
  board.renew(0);
  // Of the group that had the slot before: its thread was held up on its way.
  const late = new Watched(board, 0, 0);
  watch.add(late);
  expect(late.cause).toBe("ended");
});

describe("a thread that runs nothing while others are canceled", () => {
  // Nobody rings the bell of an idle thread; and what counts the cancels wraps.
  const counts = [0, 1, LOG_SIZE, LOG_SIZE + 1, 2 ** 31 - 1, 2 ** 31, 2 ** 31 + 1, 2 ** 32 - LOG_SIZE - 2];

  test.each(counts.flatMap((idle) => [0, 5, -5].map((startHead) => [idle, startHead] as const)))(
    "for %i cancels, from the head %i on: its next task hears of its own",
    (idle, startHead) => {
      board = CancelBoard.create(layout, CAUSES, startHead);
      watch = new CancelWatch(board, 0);
      // As if so many cancels had been logged meanwhile.
      if (idle > 0) CancelBoard.create(layout, CAUSES, startHead + idle);
      const [task, other] = [add(0), add(1)];
      board.cancel(0, 0, "deadline");
      watch.catchUp();
      expect([task.cause, other.cause]).toEqual(["deadline", undefined]);
      board.cancel(1, 0, "shutdown");
      watch.catchUp();
      expect(other.cause).toBe("shutdown");
    },
  );
});
