import type { Clock } from "../concurrency/clock.ts";
import { backoffMs, PROBE_BACKOFF } from "./backoff.ts";
import type { DuePage } from "./due-page.ts";
import type { EndpointHealth } from "./endpoint-health.ts";
import type { Pace } from "./pace.ts";

type Id = number | string;

export interface RetryQueueOptions<Item> {
  readonly idOf: (item: Item) => Id;
  /** Reads what is due. May reject (the journal cannot be read); the queue then asks again after a pause. */
  readonly due: (nowMs: number, limit: number) => Promise<DuePage<Item>>;
  /**
   * One try: the call, and writing down durably what came of it, which takes the row out or moves its next try. Resolves only
   * then, or when a stop cuts it off. It calls `begin` of the health before its first `await`, and `end` when the endpoint has
   * answered; `notify` when it made another row due. A rejection is a bug: it goes to `onFault`, and the row rests for up to a
   * minute.
   */
  readonly attempt: (item: Item) => Promise<void>;
  readonly health: EndpointHealth;
  /** Tries at one time, until their outcome is written down. */
  readonly maxInFlight: number;
  /** How many tries a second there may be, perhaps with those of other queues. Absent: no limit. The owner closes it. */
  readonly pace?: Pace;
  readonly clock: Clock;
  readonly onFault?: (message: string, error: unknown) => void;
  /** 0 to 1, for the jitter of pauses. */
  readonly random?: () => number;
}

// A read brings enough for some milliseconds of tries, and little enough that their payloads are no memory worth a thought.
const MIN_BUFFER = 64;
const MAX_BUFFER = 256;
// Timers do not follow the wall clock that rows are dated with: where that jumps ahead, they are late by this at most.
const MAX_WAKE_MS = 10_000;
// When rows that were tried may be due again: no policy has a shorter pause. A read for each of them would bring all others
// that are under way as well.
const AFTER_TRY_MS = 50;
// A row that cannot be tried for a bug: seldom enough to be no load, for it may have side effects each time.
const REST_MS = 60_000;
// With so many of them it is not about single rows any more, and nothing is tried until they have rested.
const MAX_RESTING = 64;

/**
 * Tries rows of the journal when they are due: the journal is the queue, and this is its one scheduler. It reads what is due
 * in small pages and keeps neither a timer nor an object for a row that waits, so neither memory nor start-up depends on the
 * backlog, and pauses outlive the process. Main thread only.
 *
 * A wake-up is never lost: what may have made a row due (`notify`, the timer) sets `#stale` before it calls `#pump`, and a read
 * clears it when it begins, so what happens while a page is on its way leads to another read.
 */
export class RetryQueue<Item> {
  readonly #options: RetryQueueOptions<Item>;
  readonly #bufferSize: number;
  readonly #unsubscribe: readonly (() => void)[];
  /**
   * As many as `maxInFlight`, so a search costs nothing; a `Map` whose entries come and go with every try keeps what it held in V8's
   * old generation until a full collection (see `StepTable`).
   */
  #running: { readonly id: Id; readonly ended: Promise<void> }[] = [];
  #buffer: Item[] = [];
  /** Rows that were tried or forgotten since the read under way began: what it brings of them is out of date. */
  #changed: Id[] = [];
  readonly #resting = new Set<Id>();
  #phase: "new" | "running" | "stopped" = "new";
  #paused = false;
  #pumping = false;
  #stale = true;
  #reading: Promise<void> | undefined;
  #failedReads = 0;
  #readPaused = false;
  #stopWakeTimer: (() => void) | undefined;
  #wakesAfterTry = false;
  #stopRestTimer: (() => void) | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: RetryQueueOptions<Item>) {
    const { maxInFlight, pace, health } = options;
    this.#options = options;
    this.#bufferSize = Math.min(MAX_BUFFER, Math.max(MIN_BUFFER, 2 * maxInFlight));
    const pump = () => this.#pump();
    this.#unsubscribe = [health.onResume(pump), ...(pace === undefined ? [] : [pace.onRefill(pump)])];
  }

  /** Tries under way. */
  get inFlight(): number {
    return this.#running.length;
  }

  /** Begins reading. Once. */
  start(): void {
    if (this.#phase !== "new") throw new Error("the retry queue was started before");
    this.#phase = "running";
    this.#pump();
  }

  /** Rows may have become due. Cheap, and may be called at any time. */
  notify(): void {
    this.#stale = true;
    this.#pump();
  }

  /** Whether a try of that row is under way. */
  isBusy(id: Id): boolean {
    return this.#running.some((one) => one.id === id);
  }

  /**
   * Tries a row whatever the endpoint's health and the pace, also while paused. Joins the try under way of that row. Resolves when
   * the try has ended, well or not; rejects after `stop`.
   */
  async attemptNow(item: Item): Promise<void> {
    if (this.#phase === "stopped") throw new Error("the retry queue was stopped");
    const id = this.#options.idOf(item);
    const underWay = this.#running.find((one) => one.id === id)?.ended;
    if (underWay !== undefined) return underWay;
    this.forget(id);
    return this.#start(item);
  }

  /** Somebody else took a row out or moved its next try: what was read of it before is not tried. */
  forget(id: Id): void {
    if (this.#reading !== undefined) this.#changed.push(id);
    this.#buffer = this.#buffer.filter((item) => this.#options.idOf(item) !== id);
  }

  /** Starts no more tries until `resume`. Those under way go on. */
  pause(): void {
    this.#paused = true;
    this.#pump();
  }

  resume(): void {
    this.#paused = false;
    this.notify();
  }

  /** Starts no more tries, and resolves when none is under way, nor a read. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#phase = "stopped";
    this.#buffer = [];
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#dropWakeTimer();
    this.#stopRestTimer?.();
    while (this.#running.length > 0 || this.#reading !== undefined) {
      await Promise.all([...this.#running.map(({ ended }) => ended), this.#reading]);
    }
  }

  /** Starts whatever may start now, and reads when there is room. Whatever changes that calls it again. */
  #pump(): void {
    // A try that calls `notify` before it first waits is in the midst of the loop below, which sees what it changed.
    if (this.#phase !== "running" || this.#pumping) return;
    this.#pumping = true;
    this.#dropWhatMustWait();
    while (this.#buffer.length > 0 && this.#mayStart() && this.#hasToken()) this.#start(this.#buffer.shift() as Item);
    const room = this.#stale && this.#reading === undefined ? this.#room() : 0;
    if (room > 0) this.#reading = this.#read(room);
    this.#pumping = false;
  }

  /** What cannot go for a while is read again when it can: by then it may look different. */
  #dropWhatMustWait(): void {
    const { health } = this.#options;
    const keep = this.#paused || health.paused ? 0 : health.down ? 1 : this.#buffer.length;
    if (this.#buffer.length <= keep) return;
    this.#buffer.length = keep;
    this.#stale = true;
  }

  #hasToken(): boolean {
    return this.#options.pace?.take() ?? true;
  }

  #mayStart(): boolean {
    const { health, maxInFlight } = this.#options;
    if (this.#paused || this.#resting.size >= MAX_RESTING) return false;
    // The health counts the calls of others too, but not the tries whose answer is being written down.
    return health.mayStart && this.#running.length < Math.min(maxInFlight, health.limit);
  }

  /** How many rows more may be in memory now. */
  #room(): number {
    const { health } = this.#options;
    if (this.#paused || health.paused || this.#readPaused || this.#resting.size >= MAX_RESTING) return 0;
    if (health.down) return this.#buffer.length === 0 && this.#mayStart() ? 1 : 0;
    // Not for every single row that leaves.
    return this.#buffer.length > this.#bufferSize / 2 ? 0 : this.#bufferSize - this.#buffer.length;
  }

  async #read(room: number): Promise<void> {
    const { clock, due, idOf } = this.#options;
    this.#stale = false;
    this.#changed = [];
    this.#dropWakeTimer();
    // The journal does not know which rows are here already, and these have been due for the longest.
    const limit = room + this.#running.length + this.#buffer.length + this.#resting.size;
    try {
      const { items, nextDueMs } = await due(clock.nowMs(), limit);
      // Tries that began and ended while the page was on its way are in `#changed`.
      const known = new Set([...this.#running.map(({ id }) => id), ...this.#buffer.map(idOf), ...this.#resting, ...this.#changed]);
      this.#buffer.push(...items.filter((item) => !known.has(idOf(item))));
      this.#failedReads = 0;
      if (items.length >= limit) this.#stale = true;
      else if (this.#changed.length > 0) this.#wakeAfterTry();
      else if (nextDueMs !== undefined) this.#wakeAfter(Math.min(MAX_WAKE_MS, Math.max(0, nextDueMs - clock.nowMs())));
    } catch (error) {
      this.#readFailed(error);
    } finally {
      this.#reading = undefined;
      this.#pump();
    }
  }

  #readFailed(error: unknown): void {
    if (this.#phase === "stopped") return;
    const { onFault, random = Math.random } = this.#options;
    this.#failedReads++;
    this.#readPaused = true;
    if (this.#failedReads === 1) onFault?.("what is due cannot be read: it will be read again", error);
    this.#wakeAfter(backoffMs(this.#failedReads, PROBE_BACKOFF, random));
  }

  #wakeAfterTry(): void {
    if (this.#wakesAfterTry || this.#readPaused) return;
    this.#dropWakeTimer();
    this.#wakeAfter(AFTER_TRY_MS);
    this.#wakesAfterTry = true;
  }

  #wakeAfter(delayMs: number): void {
    if (this.#phase === "stopped") return;
    this.#stopWakeTimer = this.#options.clock.after(delayMs, () => {
      this.#wakesAfterTry = false;
      this.#readPaused = false;
      this.notify();
    });
  }

  #dropWakeTimer(): void {
    this.#stopWakeTimer?.();
    this.#wakesAfterTry = false;
  }

  #start(item: Item): Promise<void> {
    const id = this.#options.idOf(item);
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    // Before the try: one that ends before it first waits has others started in its midst, and they must count it.
    this.#running.push({ id, ended });
    void this.#try(id, item).then(() => {
      this.#running = this.#running.filter((one) => one.id !== id);
      if (this.#reading !== undefined) this.#changed.push(id);
      else if (!this.#stale) this.#wakeAfterTry();
      resolve();
      this.#pump();
    });
    return ended;
  }

  async #try(id: Id, item: Item): Promise<void> {
    try {
      await this.#options.attempt(item);
    } catch (error) {
      this.#options.onFault?.("a retry failed unexpectedly", error);
      this.#rest(id);
    }
  }

  #rest(id: Id): void {
    if (this.#phase === "stopped") return;
    this.#resting.add(id);
    this.#stopRestTimer ??= this.#options.clock.after(REST_MS, () => {
      this.#stopRestTimer = undefined;
      this.#resting.clear();
      this.notify();
    });
  }
}
