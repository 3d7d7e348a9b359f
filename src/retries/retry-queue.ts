import type { Clock } from "../threads/index.ts";
import { backoffMs, PROBE_BACKOFF } from "./backoff.ts";
import type { EndpointHealth } from "./endpoint-health.ts";
import type { Pace } from "./pace.ts";
import { Quarantine } from "./quarantine.ts";
import { WakeTimer } from "./wake-timer.ts";

type Id = number | string;

/** What a journal says of rows that wait to be tried. */
export interface DuePage<Item> {
  /** Due now, longest due first; at most as many as were asked for. */
  readonly items: readonly Item[];
  /** When the earliest row that is not due yet will be (wall clock, milliseconds since 1970); absent where there is none. */
  readonly nextDueMs?: number;
}

export interface RetryQueueOptions<Item> {
  readonly idOf: (item: Item) => Id;
  /** Reads what is due. May reject (the journal cannot be read); the queue then asks again after a pause. */
  readonly due: (nowMs: number, limit: number) => Promise<DuePage<Item>>;
  /**
   * One try: it calls the endpoint and stores durably what came of it, which removes the row or postpones it. Resolves only then, or when
   * a stop cuts it off. It calls `begin` of the health before its first `await`, `end` when the endpoint has answered, and `notify` when
   * it made another row due. A rejection is a bug: it goes to `onFault`, and the row into quarantine.
   */
  readonly attempt: (item: Item) => Promise<void>;
  readonly health: EndpointHealth;
  /** How many tries may be under way, each until its outcome is stored. */
  readonly maxInFlight: number;
  /** How many tries a second there may be, perhaps with those of other queues. Absent: no limit. The owner closes it. */
  readonly pace?: Pace;
  readonly clock: Clock;
  readonly onFault?: (message: string, error: unknown) => void;
  /** 0 to 1, for the jitter of pauses. */
  readonly random?: () => number;
}

// Enough rows for some milliseconds of tries, and so few that their payloads need little memory.
const MIN_BUFFER = 64;
const MAX_BUFFER = 256;
// Rows are dated with the wall clock, which timers do not follow. When the wall clock jumps ahead, the queue reads this late at most.
const MAX_WAKE_MS = 10_000;
// No backoff policy makes a row due again sooner. A read for each row that was tried would bring all the rows under way as well.
const AFTER_TRY_MS = 50;
/**
 * Tries rows of the journal when they are due: the journal is the queue, and this class is its one scheduler. It reads due rows in small
 * pages and keeps neither a timer nor an object for a row that waits. So memory and start-up do not depend on the backlog, and a restart
 * keeps every backoff. Main thread only.
 *
 * No wake-up is lost: `notify` and the timer set `#stale` before they call `#pump`, and a read clears `#stale` when it begins. So a row
 * that becomes due during a read leads to another read.
 */
export class RetryQueue<Item> {
  readonly #options: RetryQueueOptions<Item>;
  readonly #bufferSize: number;
  readonly #unsubscribe: readonly (() => void)[];
  /**
   * At most `maxInFlight`, so a search costs nothing. A `Map` whose entries come and go with every try would keep dead entries in V8's old
   * generation until a full collection (see `Slots`).
   */
  #running: { readonly id: Id; readonly ended: Promise<void> }[] = [];
  #buffer: Item[] = [];
  /** Rows that were tried or forgotten since the current read began: the read has them as they were before. */
  #changed: Id[] = [];
  readonly #quarantine: Quarantine<Id>;
  #phase: "new" | "running" | "stopped" = "new";
  #paused = false;
  #pumping = false;
  #stale = true;
  #reading: Promise<void> | undefined;
  #failedReads = 0;
  readonly #wake: WakeTimer;
  #stopped: Promise<void> | undefined;

  constructor(options: RetryQueueOptions<Item>) {
    const { maxInFlight, pace, health, clock } = options;
    this.#options = options;
    this.#bufferSize = Math.min(MAX_BUFFER, Math.max(MIN_BUFFER, 2 * maxInFlight));
    this.#quarantine = new Quarantine(clock, () => this.notify());
    this.#wake = new WakeTimer(clock, () => this.notify());
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

  /** Rows may have become due. Cheap; may be called at any time. */
  notify(): void {
    this.#stale = true;
    this.#pump();
  }

  /**
   * Tries a row now, whatever the endpoint's health and the pace, also while paused. If a try of that row is under way, joins it. Resolves
   * when the try has ended, successful or not. Rejects after `stop`.
   */
  async attemptNow(item: Item): Promise<void> {
    if (this.#phase === "stopped") throw new Error("the retry queue was stopped");
    const id = this.#options.idOf(item);
    const underWay = this.#running.find((one) => one.id === id)?.ended;
    if (underWay !== undefined) return underWay;
    this.forget(id);
    return this.#start(item);
  }

  /** Another part removed or postponed a row: the queue drops what it has read of that row. */
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
    this.#wake.close();
    this.#quarantine.close();
    while (this.#running.length > 0 || this.#reading !== undefined) {
      await Promise.all([...this.#running.map(({ ended }) => ended), this.#reading]);
    }
  }

  /** Starts whatever may start now, and reads when there is room. Must be called after every change of either. */
  #pump(): void {
    // A try may call `notify` before its first `await`, within the loop below. The loop sees the change by itself.
    if (this.#phase !== "running" || this.#pumping) return;
    this.#pumping = true;
    this.#dropWhatMustWait();
    while (this.#buffer.length > 0 && this.#mayStart() && this.#options.pace?.take() !== false) this.#start(this.#buffer.shift() as Item);
    const room = this.#stale && this.#reading === undefined ? this.#room() : 0;
    if (room > 0) this.#reading = this.#read(room);
    this.#pumping = false;
  }

  /** Rows that cannot be tried for a while are read again later, because they may change meanwhile. */
  #dropWhatMustWait(): void {
    const { health } = this.#options;
    const keep = this.#paused || health.paused ? 0 : health.down ? 1 : this.#buffer.length;
    if (this.#buffer.length <= keep) return;
    this.#buffer.length = keep;
    this.#stale = true;
  }

  #mayStart(): boolean {
    const { health, maxInFlight } = this.#options;
    if (this.#paused || this.#quarantine.isFull) return false;
    // The health counts the calls of others too, but not a try that has its answer and stores it.
    return health.mayStart && this.#running.length < Math.min(maxInFlight, health.limit);
  }

  /** How many rows more may be in memory now. */
  #room(): number {
    const { health } = this.#options;
    if (this.#paused || health.paused || this.#wake.reason === "read failed" || this.#quarantine.isFull) return 0;
    if (health.down) return this.#buffer.length === 0 && this.#mayStart() ? 1 : 0;
    // So that not every single row that leaves causes a read.
    return this.#buffer.length > this.#bufferSize / 2 ? 0 : this.#bufferSize - this.#buffer.length;
  }

  async #read(room: number): Promise<void> {
    const { clock, due, idOf } = this.#options;
    this.#stale = false;
    this.#changed = [];
    this.#wake.stop();
    // The journal does not know which rows are here already. They have been due for the longest, so the page begins with them.
    const limit = room + this.#running.length + this.#buffer.length + this.#quarantine.ids.size;
    try {
      const { items, nextDueMs } = await due(clock.nowMs(), limit);
      const underWay = this.#running.map(({ id }) => id);
      const known = new Set([...underWay, ...this.#buffer.map(idOf), ...this.#quarantine.ids, ...this.#changed]);
      this.#buffer.push(...items.filter((item) => !known.has(idOf(item))));
      this.#failedReads = 0;
      if (items.length >= limit) this.#stale = true;
      else if (this.#changed.length > 0) this.#wakeAfterTry();
      else if (nextDueMs !== undefined) this.#wake.start(Math.min(MAX_WAKE_MS, Math.max(0, nextDueMs - clock.nowMs())), "due");
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
    if (this.#failedReads === 1) onFault?.("what is due cannot be read: it will be read again", error);
    this.#wake.start(backoffMs(this.#failedReads, PROBE_BACKOFF, random), "read failed");
  }

  #wakeAfterTry(): void {
    if (this.#wake.reason === undefined || this.#wake.reason === "due") this.#wake.start(AFTER_TRY_MS, "tried");
  }

  #start(item: Item): Promise<void> {
    const id = this.#options.idOf(item);
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    // Before the try begins: a try that ends before its first `await` starts others, and those must count it.
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
      if (this.#phase !== "stopped") this.#quarantine.add(id);
    }
  }
}
