import type { Clock } from "../threads/index.ts";
import { backoffMs, PROBE_BACKOFF } from "./backoff.ts";
import type { Lane } from "./endpoint-health.ts";
import type { Pace } from "./pace.ts";

/** What a journal says of rows that wait to be tried. */
export interface DuePage<Item> {
  /** At most as many as were asked for. */
  readonly items: readonly Item[];
  /** When the earliest row that is not due yet will be (wall clock, milliseconds since 1970); absent where there is none. */
  readonly nextDueMs?: number;
}

export interface DueRequest {
  readonly nowMs: number;
  /** 1 or more. */
  readonly limit: number;
  /** The row that was tried least, instead of those that have been due for the longest. */
  readonly leastTried: boolean;
  /** Tries under way: rows that are not wanted. */
  readonly underWay: readonly number[];
}

export interface RetryQueueOptions<Item> {
  readonly idOf: (item: Item) => number;
  /** Takes rows that are due. May reject (the journal cannot be used); the queue then asks again after a pause. */
  readonly take: (request: DueRequest) => Promise<DuePage<Item>>;
  /**
   * One try: calls the endpoint and stores durably what came of it, which removes the row or postpones it. It calls `begin` of the lane
   * before its first `await`, `end` at the answer, and `notify` when it made another row due. A rejection is a bug, followed by a pause.
   */
  readonly tryOnce: (item: Item) => Promise<void>;
  /** Lets others have a row that was being taken when the queue was paused. Absent: it stays taken until the next time it is due. */
  readonly giveBack?: (item: Item) => Promise<void>;
  readonly lane: Lane;
  /** How many tries per second there may be, perhaps with those of other queues. Absent: no limit. The owner closes it. */
  readonly pace?: Pace;
  readonly clock: Clock;
  readonly onFault?: (message: string, error: unknown) => void;
  /** 0 to 1, for the jitter of pauses. */
  readonly random?: () => number;
}

// Rows are dated with the wall clock, which timers do not follow. When the wall clock jumps ahead, the queue looks this late at most.
const MAX_WAKE_MS = 10_000;
// No backoff policy makes a row due again sooner. A look after each try would ask the journal once for each row.
const AFTER_TRY_MS = 50;

/** Why a queue reads again: a row becomes due, rows were tried, or something failed. */
type WakeReason = "due" | "tried" | "fault";

/**
 * Tries rows of the journal when they are due: the journal is the queue, this its one scheduler. It keeps neither a timer nor an object for
 * a row that waits, so memory and start-up do not depend on the backlog, and a restart keeps every backoff.
 *
 * No wake-up is lost: `notify` and the timer set `#stale` before `#pump`, and a read clears it when it begins.
 */
export class RetryQueue<Item> {
  readonly lane: Lane;
  readonly #options: RetryQueueOptions<Item>;
  readonly #unsubscribe: readonly (() => void)[];
  /** So few that a search costs nothing. A `Map` would keep dead entries in V8's old generation until a full collection. */
  #running: { readonly id: number; readonly taken: boolean; readonly ended: Promise<void> }[] = [];
  #phase: "new" | "running" | "stopped" = "new";
  #paused = false;
  #stale = true;
  #taking: Promise<void> | undefined;
  #faults = 0;
  /** The timer that has the queue read again. */
  #wake: { readonly reason: WakeReason; readonly stop: () => void } | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: RetryQueueOptions<Item>) {
    const { pace, lane } = options;
    this.#options = options;
    this.lane = lane;
    const pump = () => this.#pump();
    this.#unsubscribe = [lane.health.onResume(pump), ...(pace === undefined ? [] : [pace.onRefill(pump)])];
  }

  /** Tries under way, each until its outcome is stored, and one more while rows are being taken. */
  get inFlight(): number {
    return this.#running.length + (this.#taking === undefined ? 0 : 1);
  }

  /** Begins taking rows. Once. */
  start(): void {
    if (this.#phase !== "new") throw new Error("the retry queue was started before");
    this.#phase = "running";
    this.#pump();
  }

  /** Rows may have become due. Cheap; may be called at any time. */
  notify(): void {
    this.#stale = true;
    this.#pump();
  }

  /** A row that was handed in has been put off. */
  postponed(): void {
    if (this.#stale || this.#phase === "stopped") return;
    if (this.#wake === undefined || this.#wake.reason === "due") this.#wakeIn(AFTER_TRY_MS, "tried");
  }

  /** Tries a row of the caller now, whatever lane and pace say, also while paused. Resolves when the try has ended. Rejects after `stop`. */
  async tryNow(item: Item): Promise<void> {
    if (this.#phase === "stopped") throw new Error("the retry queue was stopped");
    return this.#start(item, false);
  }

  /** Starts no more tries until `resume`. Those under way go on. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.notify();
  }

  /** Starts no more tries, and resolves when none is under way. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#phase = "stopped";
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#stopWake();
    while (this.#running.length > 0 || this.#taking !== undefined) {
      await Promise.all([...this.#running.map(({ ended }) => ended), this.#taking]);
    }
  }

  /** Takes rows where there is room for them. Must be called after every change of either. */
  #pump(): void {
    if (this.#phase !== "running" || this.#paused || this.#taking !== undefined || !this.#stale || this.#wake?.reason === "fault") return;
    const { lane, pace } = this.#options;
    const room = Math.min(lane.room, lane.maxOfQueue - this.#running.filter(({ taken }) => taken).length);
    if (room <= 0) return;
    const limit = pace === undefined ? room : pace.take(room);
    if (limit > 0) this.#taking = this.#take(limit);
  }

  async #take(limit: number): Promise<void> {
    const { clock, take, lane, pace } = this.#options;
    let items: readonly Item[] = [];
    this.#stale = false;
    this.#stopWake();
    lane.reserve(limit);
    try {
      const underWay = this.#running.map(({ id }) => id);
      const page = await take({ nowMs: clock.nowMs(), limit, leastTried: lane.probing, underWay });
      items = page.items;
      if (items.length === 0) this.#faults = 0;
      if (items.length >= limit) this.#stale = true;
      else if (page.nextDueMs !== undefined) this.#wakeAt(page.nextDueMs);
    } catch (error) {
      this.#failed("what is due cannot be read: it will be read again", error);
    }
    lane.reserve(-limit);
    pace?.giveBack(limit - items.length);
    // After a stop they stay as they are: the next start finds them.
    if (this.#phase === "running" && this.#paused) await this.#giveBack(items);
    else if (this.#phase === "running") for (const item of items) void this.#start(item, true);
    this.#taking = undefined;
    this.#pump();
  }

  /** Still while they are being taken: after a resume they must not be taken before all are given back. */
  async #giveBack(items: readonly Item[]): Promise<void> {
    const { giveBack } = this.#options;
    if (giveBack === undefined) return;
    const given = await Promise.allSettled(items.map(giveBack));
    for (const { reason } of given.filter((one) => one.status === "rejected")) this.#failed("a row cannot be given back", reason);
  }

  #wakeAt(dueMs: number): void {
    // Rows that were postponed meanwhile are not among those that the journal looked at, and after a fault there is a pause.
    if (this.#phase === "stopped" || this.#wake !== undefined) return;
    this.#wakeIn(Math.min(MAX_WAKE_MS, Math.max(0, dueMs - this.#options.clock.nowMs())), "due");
  }

  /** Instead of the timer that runs. `delayMs`: 0 to 2^31-1. */
  #wakeIn(delayMs: number, reason: WakeReason): void {
    this.#stopWake();
    const stop = this.#options.clock.after(delayMs, () => {
      this.#wake = undefined;
      this.notify();
    });
    this.#wake = { reason, stop };
  }

  #stopWake(): void {
    this.#wake?.stop();
    this.#wake = undefined;
  }

  /** `taken`: by this queue, not handed in. */
  #start(item: Item, taken: boolean): Promise<void> {
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    // Before the try, which may end in this turn and wake the queue.
    this.#running.push({ id: this.#options.idOf(item), taken, ended });
    void this.#try(item).then(() => {
      this.#running = this.#running.filter((one) => one.ended !== ended);
      if (taken) this.postponed();
      resolve();
      this.#pump();
    });
    return ended;
  }

  async #try(item: Item): Promise<void> {
    try {
      await this.#options.tryOnce(item);
      this.#faults = 0;
    } catch (error) {
      this.#failed("a retry failed unexpectedly", error);
    }
  }

  #failed(message: string, error: unknown): void {
    if (this.#phase === "stopped") return;
    const { onFault, random = Math.random } = this.#options;
    this.#faults++;
    if (this.#faults === 1) onFault?.(message, error);
    this.#wakeIn(backoffMs(this.#faults, PROBE_BACKOFF, random), "fault");
  }
}
