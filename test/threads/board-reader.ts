import { CancelBoard } from "../../src/threads/cancel-board.ts";
import type { Layout } from "../../src/threads/layout.ts";
import { Tracker } from "../../src/threads/tracker.ts";
import { CancelWatch } from "../../src/threads/worker/cancel-watch.ts";
import { TaskContext } from "../../src/threads/worker/task-context.ts";
import { CAUSES, type Cause } from "./causes.ts";

/** One thread's side of the board, on the test's own thread: its tasks, one for each slot, and the watch that reads the log for them. */
export class BoardReader {
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
