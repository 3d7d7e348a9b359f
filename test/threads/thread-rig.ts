import type { Worker } from "node:worker_threads";
import { onTestFinished } from "vitest";
import { CancelBoard } from "../../src/threads/cancel-board.ts";
import type { DispatchedTask } from "../../src/threads/dispatched-task.ts";
import { Dispatcher } from "../../src/threads/dispatcher.ts";
import { GraceWatch } from "../../src/threads/grace-watch.ts";
import { CancelScope } from "../../src/threads/index.ts";
import { Layout } from "../../src/threads/layout.ts";
import type { CanceledOutcome, FailedOutcome } from "../../src/threads/outcome.ts";
import { Slots, TaskTable } from "../../src/threads/places.ts";
import { PoolThread } from "../../src/threads/pool-thread.ts";
import type { PoolThreads } from "../../src/threads/pool-threads.ts";
import { toPost } from "../../src/threads/protocol.ts";
import { type GroupParts, SlotGroup } from "../../src/threads/slot-group.ts";
import { Tracker } from "../../src/threads/tracker.ts";
import { CAUSES } from "./causes.ts";
import { ManualClock } from "./manual-clock.ts";

const SLOTS = 2;
const GRACE_MS = 100;

/** The main thread's side over threads that a test plays: what they post, and when they die. */
export class ThreadRig {
  readonly clock = new ManualClock();
  readonly board: CancelBoard;
  readonly parts: GroupParts;
  readonly threads: PoolThread[];
  readonly #tracker: Tracker;
  readonly #dispatcher: Dispatcher;

  constructor(threads: number) {
    const layout = Layout.allocate({ slots: SLOTS, rows: threads });
    this.board = CancelBoard.create(layout, CAUSES);
    this.#tracker = new Tracker(layout);
    this.threads = Array.from({ length: threads }, (_, n) => {
      const thread = new PoolThread({ message() {}, unreadable() {}, killed() {} });
      thread.becomeReady(n + 1, this.#tracker.claim(n + 1), {} as Worker);
      return thread;
    });
    onTestFinished(() => {
      for (const thread of this.threads) thread.closePort();
    });
    const { board } = this;
    const table = new TaskTable();
    this.#dispatcher = new Dispatcher({ board, table, tracker: this.#tracker, causes: CAUSES, maxTasksPerThread: 10, maxWaiting: 10 });
    const pool = { name: "shared", isEmpty: false, closing: false, start() {}, faultBelow() {}, all: () => this.threads.values() };
    this.#dispatcher.threads = pool as unknown as PoolThreads;
    this.parts = {
      board,
      table,
      slots: new Slots(board, SLOTS),
      graceWatch: new GraceWatch(GRACE_MS, (task) => this.#dispatcher.giveUp(task), this.clock),
      codecs: undefined,
      shared: this.#dispatcher,
      exclusive: this.#dispatcher,
      exclusiveCapacity: undefined,
    };
  }

  open(): { scope: CancelScope; group: SlotGroup } {
    const scope = new CancelScope();
    return { scope, group: new SlotGroup(this.parts, scope) };
  }

  /** One task on each thread, which has received it. */
  async runOnEach(group: SlotGroup): Promise<DispatchedTask[]> {
    const tasks = this.threads.map(() => group.run("task", undefined));
    await new Promise(setImmediate);
    for (const { row } of this.threads) this.#tracker.countReceived(row as number);
    return this.threads.map((thread) => tasks.find((task) => task.thread === thread) as DispatchedTask);
  }

  /** The thread of a task posts its outcome; null for ok. */
  posts(task: DispatchedTask, outcome: FailedOutcome | CanceledOutcome | null): void {
    const result = outcome === null ? null : toPost(outcome, CAUSES);
    this.#dispatcher.outcomes(task.thread as PoolThread, [...task.key.split(" ").map(Number), 0, 0, result]);
  }

  /** No line of the task's thread runs any more. */
  dies({ thread }: DispatchedTask): void {
    this.threads.splice(this.threads.indexOf(thread as PoolThread), 1);
    this.#dispatcher.gone(thread as PoolThread, "exit");
    thread?.closePort();
  }
}

/** As a thread posts it. */
export const FAILED: FailedOutcome = {
  status: "failed",
  message: "no",
  data: undefined,
  keepsSiblings: false,
  progress: undefined,
  error: undefined,
};
