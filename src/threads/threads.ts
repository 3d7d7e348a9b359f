import { CancelBoard } from "./cancel-board.ts";
import type { CancelScope } from "./cancel-scope.ts";
import { BUILT_IN_CAUSES } from "./canceled.ts";
import { monotonicMs } from "./clock.ts";
import type { RunningTask } from "./dispatched-task.ts";
import { Dispatcher } from "./dispatcher.ts";
import { GraceWatch } from "./grace-watch.ts";
import { Layout } from "./layout.ts";
import { Capacity } from "./permits/capacity.ts";
import { Slots, TaskTable } from "./places.ts";
import type { PoolThread, ReplaceReason } from "./pool-thread.ts";
import { type PoolName, PoolThreads } from "./pool-threads.ts";
import { ProgressWatch } from "./progress-watch.ts";
import type { ThreadSetup } from "./protocol.ts";
import { atMost } from "./sleep.ts";
import { type Convert, type GroupParts, SlotGroup } from "./slot-group.ts";
import { StartLimit } from "./starts.ts";
import { type GroupOptions, ThreadGroup } from "./thread-group.ts";
import { checked, type ThreadsOptions } from "./threads-options.ts";
import { type ThreadCounts, type Totals, Tracker } from "./tracker.ts";
import type { DefinedTasks, TaskTable as Table } from "./worker/define-tasks.ts";

/** One thread, from its own counters in shared memory. */
export interface ThreadView extends ThreadCounts {
  readonly id: number;
  readonly pool: PoolName;
}

export interface Statistics extends Totals {
  readonly threads: readonly ThreadView[];
  /** How many threads were replaced, by reason. */
  readonly replaced: ReadonlyMap<ReplaceReason, number>;
}

// Further rows, for threads that were replaced and cannot die. Rows cost a cache line, and only those that were ever used cost a cancel.
const SPARE_ROWS = 32;
// A thread that runs JavaScript ends within a few milliseconds of its turn at a processor.
const QUIET_MS = 300;

/** The threads, and what runs on them. Main thread only. */
export class Threads<Tasks extends Table = Table, Cause extends string = string, Data = unknown> implements AsyncDisposable {
  readonly #tracker: Tracker;
  readonly #parts: GroupParts;
  readonly #pools: readonly PoolThreads[];
  readonly #startsAtOnce: readonly PoolThreads[];
  readonly #progressWatch: ProgressWatch;
  readonly #replaced = new Map<ReplaceReason, number>();
  readonly #graceMs: number;
  #closed: Promise<void> | undefined;

  constructor(options: ThreadsOptions<Cause>) {
    const given = checked(options);
    const layout = Layout.allocate({ slots: given.maxGroups, rows: 2 * (given.shared + given.exclusive) + SPARE_ROWS });
    const causes = [...BUILT_IN_CAUSES, ...given.causes];
    const board = CancelBoard.create(layout, causes);
    const table = new TaskTable();
    const tracker = new Tracker(layout);
    const setup: ThreadSetup = { layout: layout.handle, causes, file: given.file, settings: given.settings };
    const dispatching = { board, table, tracker, causes, maxWaiting: given.maxWaiting };
    const shared = new Dispatcher({ ...dispatching, maxTasksPerThread: given.maxTasksPerThread });
    const exclusive = new Dispatcher({ ...dispatching, maxTasksPerThread: 1 });
    const onReplaced = (pool: PoolName, threadId: number, reason: ReplaceReason): void => {
      this.#replaced.set(reason, (this.#replaced.get(reason) ?? 0) + 1);
      given.onReplaced(pool, threadId, reason);
    };
    const common = { ...given, onReplaced, setup, tracker, startLimit: new StartLimit() };
    shared.threads = new PoolThreads({ ...common, name: "shared", threads: given.shared, onDemand: false }, shared);
    // A thread with one task has nobody to spare: `ProgressWatch` ends it.
    const alone = { threads: given.exclusive, onDemand: given.exclusiveOnDemand, maxGivenUp: Number.POSITIVE_INFINITY };
    exclusive.threads = new PoolThreads({ ...common, ...alone, name: "exclusive" }, exclusive);
    const graceWatch = new GraceWatch(given.graceMs, (task) => (task.options?.on === "exclusive" ? exclusive : shared).giveUp(task));
    const exclusiveCapacity = given.exclusive === 0 ? undefined : new Capacity(given.exclusive, given.waiting);
    this.#graceMs = given.graceMs;
    this.#tracker = tracker;
    this.#pools = [shared.threads, exclusive.threads];
    this.#startsAtOnce = given.exclusiveOnDemand ? [shared.threads] : this.#pools;
    const { codecs } = given;
    this.#parts = { board, slots: new Slots(board, given.maxGroups), table, graceWatch, codecs, shared, exclusive, exclusiveCapacity };
    // The first tasks wait for the threads to start. That wait says nothing about how long the next tasks will compute.
    if (given.exclusiveOnDemand) void exclusiveCapacity?.grants.measureFrom(exclusive.threads.ready(), monotonicMs);
    this.#progressWatch = new ProgressWatch(tracker, this.#pools, given.startTimeoutMs);
  }

  /** Resolves when all threads are up that do not wait for their first task. Rejects when they cannot be started. */
  async ready(): Promise<void> {
    await Promise.all(this.#startsAtOnce.map((pool) => pool.ready()));
  }

  /**
   * Opens a group. Join it, or dispose of it with `await using`: until then it holds one of `maxGroups` places. Throws `Refused` where
   * there is none, RangeError for a bad option, an Error once closed.
   */
  group(options: GroupOptions<Cause> = {}): ThreadGroup<Tasks, Cause, Data> {
    return new ThreadGroup(this.#open(), options);
  }

  /**
   * The lower half of a group, for whoever has a scope of his own: runs tasks that are canceled by `scope`, or by the first that fails; the
   * caller then cancels the scope. To be closed when all have ended. A scope carries one such group at a time. `convert` makes of a task's
   * end what its `ended` resolves with, so that thousands of waiting tasks need no closure each.
   */
  open(scope: CancelScope, priority?: number, convert?: Convert): SlotGroup {
    return new SlotGroup(this.#open(), scope, priority, convert);
  }

  #open(): GroupParts {
    if (this.#closed !== undefined) throw new Error("the threads are closed");
    return this.#parts;
  }

  /** The exclusive threads as a capacity: each task on them holds a permit, or waits for it. Throws where there are none. */
  get exclusive(): Capacity {
    const { exclusiveCapacity } = this.#parts;
    if (exclusiveCapacity === undefined) throw new RangeError("there are no exclusive threads: openThreads was given exclusive: 0");
    return exclusiveCapacity;
  }

  /** What runs and ever ran, from the threads' own counters. */
  statistics(): Statistics {
    const view =
      (pool: PoolThreads) =>
      ({ id, row }: PoolThread) =>
        row === undefined ? [] : [{ id, pool: pool.name, ...this.#tracker.read(row) }];
    return {
      ...this.#tracker.totals(),
      threads: this.#pools.flatMap((pool) => pool.loaded().flatMap(view(pool))),
      replaced: this.#replaced,
    };
  }

  /** Everything that must be zero when nothing runs. */
  counters() {
    const { slots, table, exclusiveCapacity, graceWatch } = this.#parts;
    return {
      groups: slots.inUse,
      unsettled: table.inUse,
      exclusivePermits: exclusiveCapacity?.inUse ?? 0,
      exclusiveWaiting: exclusiveCapacity?.waiting ?? 0,
      watchedGroups: graceWatch.size,
    };
  }

  /** The tasks that have not settled, in no particular order. */
  unsettled(): readonly RunningTask[] {
    return this.#parts.table.all();
  }

  /** How many tasks were ever run: the `serial` of the last. */
  get lastSerial(): number {
    return this.#parts.table.lastSerial;
  }

  /** Kills the busiest thread, or an idle one where none is busy: for tests and demonstrations of what that does. Returns its id, undefined when none is up. */
  killThread(): number | undefined {
    const up = this.#pools.flatMap((pool) => pool.loaded()).filter(({ leaving }) => leaving === undefined);
    const [busiest] = up.sort((a, b) => b.inFlight - a.inFlight);
    busiest?.kill("killed");
    return busiest?.id;
  }

  /** Threads that have not ended. After `close` these are threads in a native call, which keep the process: see `exitDespiteThreads`. */
  get alive(): number {
    return this.#pools.reduce((sum, { alive }) => sum + alive, 0);
  }

  /**
   * Cancels all groups with cause `closed`, gives their tasks the grace to stop, and ends all threads. Waits for no thread that is in a
   * native call: resolves when none has ended for 0.3 s, and what has not ended by then is `lost`. A second call gives the same promise.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const { slots, graceWatch, shared, exclusive } = this.#parts;
    for (const group of slots.all()) group.cancel("closed");
    await atMost(Promise.all(this.#parts.table.all().map(({ ended }) => ended)), this.#graceMs);
    this.#progressWatch.close();
    graceWatch.close();
    // All of them before the first ends: a place at the start limit that it gives up is for nobody.
    for (const pool of this.#pools) pool.closing = true;
    await Promise.all(this.#pools.map((pool) => pool.close(QUIET_MS)));
    shared.close();
    exclusive.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * Starts threads that run the tasks of a file. Resolves when they are up; rejects when the file cannot be loaded, or an option is bad, with
 * no thread left. `openThreads<typeof tasks>` gives `run` its types; the second type is your causes, the third the data of your `Failure`s.
 */
export async function openThreads<Defined extends DefinedTasks<never> | DefinedTasks<Table>, Cause extends string = never, Data = unknown>(
  options: ThreadsOptions<Cause>,
): Promise<Threads<Defined extends DefinedTasks<infer Tasks> ? Tasks : Table, Cause, Data>> {
  const threads = new Threads<Defined extends DefinedTasks<infer Tasks> ? Tasks : Table, Cause, Data>(options);
  try {
    await threads.ready();
    return threads;
  } catch (error) {
    await threads.close();
    throw error;
  }
}
