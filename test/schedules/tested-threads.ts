import type { CancelBoard } from "../../src/threads/cancel-board.ts";
import { BUILT_IN_CAUSES } from "../../src/threads/canceled.ts";
import { Dispatcher } from "../../src/threads/dispatcher.ts";
import { GraceWatch, type WatchClock } from "../../src/threads/grace-watch.ts";
import type { Layout } from "../../src/threads/layout.ts";
import { Capacity } from "../../src/threads/permits/capacity.ts";
import { Slots, TaskTable } from "../../src/threads/places.ts";
import type { PoolThread, ReplaceReason } from "../../src/threads/pool-thread.ts";
import { type PoolName, PoolThreads } from "../../src/threads/pool-threads.ts";
import { ProgressWatch } from "../../src/threads/progress-watch.ts";
import type { GroupParts } from "../../src/threads/slot-group.ts";
import { StartLimit } from "../../src/threads/starts.ts";
import { Tracker } from "../../src/threads/tracker.ts";
import { MAIN } from "./control-words.ts";
import type { Scenario } from "./scenario.ts";

export interface ThreadsParts {
  readonly layout: Layout;
  readonly board: CancelBoard;
  readonly slots: number;
  readonly scenario: Scenario;
  readonly graceClock: WatchClock;
  readonly progressClock: WatchClock;
  readonly onFault: (message: string, error: unknown) => void;
  /** A group gives its slot back. */
  readonly onClosed: (slot: number) => void;
}

const DEFAULT_GRACE_MS = 100;
const QUIET_MS = 1_000;

/** The library's parts on the main thread, put together as `Threads` does it, on the memory and the clock of the schedule. */
export class TestedThreads {
  readonly tracker: Tracker;
  readonly parts: GroupParts;
  readonly pools: readonly PoolThreads[];
  /** Which threads were replaced, and why. */
  readonly replaced = new Map<number, ReplaceReason>();
  isClosing = false;
  isClosed = false;
  readonly #expected: number;

  constructor({ layout, board, slots, scenario, graceClock, progressClock, onFault, onClosed }: ThreadsParts) {
    const { exclusive: exclusiveThreads = 0, graceMs = DEFAULT_GRACE_MS, startTimeoutMs = 30_000, maxGivenUp = 100 } = scenario;
    const { shared: sharedThreads = scenario.threads - 1 - exclusiveThreads } = scenario;
    const table = new TaskTable();
    const tracker = new Tracker(layout);
    const dispatching = { board, table, tracker, causes: BUILT_IN_CAUSES, maxWaiting: 100 };
    const shared = new Dispatcher({ ...dispatching, maxTasksPerThread: scenario.maxTasksPerThread ?? 100 });
    const exclusive = new Dispatcher({ ...dispatching, maxTasksPerThread: 1 });
    const common = {
      heapMb: 1,
      onDemand: false,
      setup: { layout: layout.handle, causes: BUILT_IN_CAUSES, file: "", settings: undefined },
      tracker,
      startLimit: new StartLimit(),
      onMessage() {},
      onFault,
      onReplaced: (_pool: PoolName, id: number, reason: ReplaceReason) => void this.replaced.set(id, reason),
    };
    shared.threads = new PoolThreads({ ...common, name: "shared", threads: sharedThreads, maxGivenUp }, shared);
    const alone = { threads: exclusiveThreads, maxGivenUp: Number.POSITIVE_INFINITY };
    exclusive.threads = new PoolThreads({ ...common, ...alone, name: "exclusive" }, exclusive);
    const graceWatch = new GraceWatch(graceMs, (task) => (task.options?.on === "exclusive" ? exclusive : shared).giveUp(task), graceClock);
    this.tracker = tracker;
    this.pools = [shared.threads, exclusive.threads];
    this.#expected = sharedThreads + exclusiveThreads;
    this.parts = {
      board,
      slots: new WatchedSlots(board, slots, onClosed),
      table,
      graceWatch,
      codecs: undefined,
      shared,
      exclusive,
      exclusiveCapacity: exclusiveThreads === 0 ? undefined : new Capacity(exclusiveThreads),
    };
    new ProgressWatch(tracker, this.pools, startTimeoutMs, progressClock);
  }

  /** As `Threads` closes, without the grace for tasks. */
  async close(): Promise<void> {
    this.isClosing = true;
    this.parts.graceWatch.close();
    await Promise.all(this.pools.map((pool) => pool.close(QUIET_MS)));
    this.parts.shared.close();
    this.parts.exclusive.close();
    this.isClosed = true;
  }

  get areUp(): boolean {
    return this.pools.reduce((sum, pool) => sum + pool.loaded().length, 0) === this.#expected;
  }

  /** Also those that are loading or leaving. */
  all(): PoolThread[] {
    return this.pools.flatMap((pool) => [...pool.all()]);
  }

  find(thread: number): PoolThread | undefined {
    return thread === MAIN ? undefined : this.all().find(({ id }) => id === thread);
  }
}

class WatchedSlots extends Slots {
  readonly #onClosed: (slot: number) => void;

  constructor(board: CancelBoard, count: number, onClosed: (slot: number) => void) {
    super(board, count);
    this.#onClosed = onClosed;
  }

  override giveBack(slot: number): void {
    this.#onClosed(slot);
    super.giveBack(slot);
  }
}
