import { expect, test } from "vitest";
import { CancelBoard } from "../../src/threads/cancel-board.ts";
import { Layout } from "../../src/threads/layout.ts";
import { Slots } from "../../src/threads/places.ts";
import type { SlotGroup } from "../../src/threads/slot-group.ts";
import { Tracker } from "../../src/threads/tracker.ts";
import { CAUSES } from "./causes.ts";

/** A group that nobody asks for its tasks. */
const NO_TASKS = {} as SlotGroup;
/** How many generations a word can tell apart. */
const GENERATIONS = 2 ** 28;

test("a slot's old generation reads and cancels nothing; its tasks hear that they have ended", () => {
  const board = CancelBoard.create(Layout.allocate({ slots: 1, rows: 1 }), CAUSES);
  for (let generation = 0; generation < 3; generation++) {
    expect(board.generation(0)).toBe(generation);
    expect(board.cancel(0, generation - 1, "deadline")).toBe(false);
    expect([board.causeOf(0, generation), board.heardBy(0, generation)]).toEqual([undefined, undefined]);
    expect(board.cancel(0, generation, "shutdown")).toBe(true);
    expect(board.cancel(0, generation, "deadline")).toBe(false);
    expect([board.causeOf(0, generation), board.heardBy(0, generation)]).toEqual(["shutdown", "shutdown"]);
    expect([board.causeOf(0, generation - 1), board.heardBy(0, generation - 1)]).toEqual([undefined, "ended"]);
    board.renew(0);
    expect([board.causeOf(0, generation), board.heardBy(0, generation)]).toEqual([undefined, "ended"]);
  }
});

test("the generation of a slot wraps, and every cause fits beside the highest one", () => {
  const causes = Array.from({ length: 15 }, (_, n) => `cause ${n}`);
  const layout = Layout.allocate({ slots: 1, rows: 1 });
  const board = CancelBoard.create(layout, causes);
  for (const cause of causes) {
    // As if all generations but one had gone by.
    layout.words[layout.boardAt(0)] = (GENERATIONS - 1) << 4;
    expect(board.generation(0)).toBe(GENERATIONS - 1);
    expect(board.cancel(0, GENERATIONS - 1, cause)).toBe(true);
    expect([board.causeOf(0, GENERATIONS - 1), board.heardBy(0, GENERATIONS - 1)]).toEqual([cause, cause]);
    board.renew(0);
    expect([board.generation(0), board.causeOf(0, 0), board.heardBy(0, GENERATIONS - 1)]).toEqual([0, undefined, "ended"]);
  }
});

test("notifies only the threads that run a task", () => {
  const layout = Layout.allocate({ slots: 2, rows: 3 });
  const [board, tracker] = [CancelBoard.create(layout, CAUSES), new Tracker(layout)];
  const [busy, idle] = [tracker.claim(1), tracker.claim(2)];
  tracker.countStart(busy);
  board.cancel(0, 0, "deadline");
  expect([board.bell(busy), board.bell(idle)]).toEqual([1, 0]);
  tracker.countEnd(busy);
  board.cancel(1, 0, "deadline");
  expect([board.bell(busy), board.bell(idle)]).toEqual([1, 0]);
});

test("a bell that has changed since it was read ends the wait for it at once, though nobody rings it any more", async () => {
  const layout = Layout.allocate({ slots: 2, rows: 1 });
  const [board, tracker] = [CancelBoard.create(layout, CAUSES), new Tracker(layout)];
  const row = tracker.claim(1);
  tracker.countStart(row);
  const bell = board.bell(row);
  board.cancel(0, 0, "deadline");
  await board.bellChanged(row, bell);
  let ended = false;
  const waits = board.bellChanged(row, board.bell(row)).then(() => (ended = true));
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
  expect(ended).toBe(false);
  board.cancel(1, 0, "deadline");
  await waits;
});

test("a full board and a slot off the board are refused", () => {
  const board = CancelBoard.create(Layout.allocate({ slots: 2, rows: 1 }), CAUSES);
  const slots = new Slots(board, 2);
  slots.take(NO_TASKS);
  slots.take(NO_TASKS);
  expect(() => slots.take(NO_TASKS)).toThrow("2 groups of tasks are open, which is the limit");
  expect(() => board.causeOf(2, 0)).toThrow(RangeError);
  expect(() => board.cancel(-1, 0, "deadline")).toThrow(RangeError);
});

test("slots are given again, the lowest first, each for a generation that nobody has canceled", () => {
  const board = CancelBoard.create(Layout.allocate({ slots: 3, rows: 1 }), CAUSES);
  const slots = new Slots(board, 3);
  const groups = [0, 1, 2].map((n) => ({ n }) as unknown as SlotGroup);
  expect(groups.map((group) => slots.take(group))).toEqual([0, 1, 2]);
  expect([slots.inUse, slots.all()]).toEqual([3, groups]);
  board.cancel(1, 0, "deadline");
  slots.giveBack(1);
  expect([slots.inUse, slots.all()]).toEqual([2, [groups[0], groups[2]]]);
  expect([slots.take(NO_TASKS), board.generation(1), board.causeOf(1, 1)]).toEqual([1, 1, undefined]);
});
