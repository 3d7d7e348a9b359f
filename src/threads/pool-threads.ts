import type { Piscina } from "piscina";
import { textOf } from "./canceled.ts";
import { monotonicMs } from "./clock.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { PoolThread } from "./pool-thread.ts";
import { PoolWorkers, piscinaOf } from "./pool-workers.ts";
import { parseThreadMessage, type StandingTask, type ThreadSetup } from "./protocol.ts";
import { StartBackoff, type StartLimit } from "./starts.ts";
import type { CheckedOptions } from "./threads-options.ts";
import type { Tracker } from "./tracker.ts";

export type PoolName = "shared" | "exclusive";

export interface PoolOptions extends Pick<CheckedOptions, "heapMb" | "maxGivenUp" | "onMessage" | "onFault" | "onReplaced"> {
  readonly name: PoolName;
  readonly threads: number;
  /** Whether they start with the first task that needs one: a thread holds about 12 MB. */
  readonly onDemand: boolean;
  readonly setup: ThreadSetup;
  readonly tracker: Tracker;
  readonly startLimit: StartLimit;
}

// JavaScript ends in a few milliseconds. Nobody waits for a native call, after which no line of the thread's code runs any more.
const DEATH_MS = 100;

/** The threads of one Piscina pool and their replacements. Piscina starts a thread per standing task, and ends it when that is aborted. */
export class PoolThreads {
  readonly name: PoolName;
  readonly maxGivenUp: number;
  readonly #options: PoolOptions;
  readonly #dispatcher: Dispatcher;
  /** Undefined before the first task, where threads start on demand. */
  #piscina: Piscina<StandingTask, never> | undefined;
  readonly #threads = new Set<PoolThread>();
  readonly #workers: PoolWorkers;
  readonly #backoff = new StartBackoff();
  /** From then on no thread is replaced, and tasks without a thread get none. */
  closing = false;
  /** Of those who wait until the threads are up. */
  readonly #wakeUps: (() => void)[] = [];
  #startFault: unknown;

  constructor(options: PoolOptions, dispatcher: Dispatcher) {
    this.name = options.name;
    this.maxGivenUp = options.maxGivenUp;
    this.#options = options;
    this.#dispatcher = dispatcher;
    this.#workers = new PoolWorkers({
      onError: (error, thread) => {
        // `#died` tells of it: which of those that start it was is not known yet.
        if (thread === undefined) this.#startFault = error;
        else {
          options.onFault("a thread crashed", error);
          thread.leaving ??= error?.code === "ERR_WORKER_OUT_OF_MEMORY" ? "out_of_memory" : "uncaught";
        }
      },
      onExit: (id, thread) => this.#exited(id, thread),
    });
    if (!options.onDemand) this.start();
  }

  get isEmpty(): boolean {
    return this.#options.threads === 0;
  }

  /** Why its threads do not start, once several in a row have died before they were up. Undefined where so many are up. */
  faultBelow(threads: number): string | undefined {
    if (!this.#backoff.isHopeless || this.loaded().length >= threads) return undefined;
    return `the threads of the ${this.name} pool do not start: ${textOf(this.#startFault, "message")}`;
  }

  /** Also those that are loading or leaving. */
  all(): SetIterator<PoolThread> {
    return this.#threads.values();
  }

  /** Those that have loaded, also those that get no more tasks. */
  loaded(): PoolThread[] {
    return [...this.#threads].filter(({ readyAtMs }) => readyAtMs !== undefined);
  }

  /** How many of its threads have not ended, those included that were killed and cannot die. */
  get alive(): number {
    return this.#workers.size;
  }

  /** Resolves when every thread has loaded and claimed its row. Rejects when several in a row have died before that, and at the close. */
  async ready(): Promise<void> {
    while (this.loaded().length < this.#options.threads) {
      const fault = this.faultBelow(this.#options.threads);
      if (fault !== undefined) throw new Error(fault);
      if (this.closing) throw new Error("the threads are closed");
      await new Promise<void>((resolve) => this.#wakeUps.push(resolve));
    }
  }

  #startedOrFailed(): void {
    for (const wakeUp of this.#wakeUps.splice(0)) wakeUp();
    this.#dispatcher.lookAtWaiting();
  }

  /** A second call does nothing. Throws what Piscina throws. */
  start(): void {
    const { threads, setup, heapMb } = this.#options;
    if (this.#piscina !== undefined || this.closing || threads === 0) return;
    this.#piscina = piscinaOf(setup, heapMb);
    this.#ensureThreads();
  }

  /** For a thread on which ignored cancels have piled up: it is replaced, and ends with the last of its tasks. As many as the pool has. */
  setAside(thread: PoolThread): void {
    if (thread.leaving !== undefined || thread.isSetAside) return;
    const before = [...this.#threads].filter(({ isSetAside, killed }) => isSetAside && !killed);
    if (before.length >= this.#options.threads) before[0]?.kill("grace");
    thread.isSetAside = true;
    if (thread.inFlight === 0) thread.kill("grace");
    else this.#ensureThreads();
  }

  /** Resolves when all threads have ended, or when none has for `quietMs`: what is left is in a native call. */
  async close(quietMs: number): Promise<void> {
    this.closing = true;
    this.#backoff.stop();
    for (const thread of this.#threads) thread.kill("exit");
    const destroyed = this.#piscina?.destroy();
    this.#startedOrFailed();
    await this.#workers.ended(quietMs);
    for (const thread of this.#threads) this.#settle(thread);
    if (this.alive === 0) await destroyed;
  }

  #ensureThreads(): void {
    if (this.#piscina === undefined || this.closing || this.#backoff.isPausing) return;
    for (let missing = this.#missing(); missing > 0; missing--) {
      if (!this.#options.startLimit.tryBegin(() => this.#ensureThreads())) return;
      this.#startThread(this.#piscina);
    }
  }

  #missing(): number {
    let staying = 0;
    for (const { killed, isSetAside, gone } of this.#threads) if (!killed && !isSetAside && !gone) staying++;
    return this.#options.threads - staying;
  }

  #startThread(piscina: Piscina<StandingTask, never>): void {
    const thread = new PoolThread({
      message: (message) => this.#receive(thread, message),
      unreadable: (error) => this.#options.onFault("a thread posted what cannot be read", error),
      killed: () => this.#killed(thread),
    });
    this.#threads.add(thread);
    let standing: Promise<never>;
    try {
      standing = piscina.run(thread.remotePort, { transferList: [thread.remotePort] as never, signal: thread.abort.signal });
    } catch (error) {
      // The machine has no room for a further thread.
      standing = Promise.reject(error);
    }
    // It never ends but by the thread's death: rejected, or resolved where `null` was thrown.
    const ended = (error: unknown): void => {
      if (thread.killed || thread.gone || thread.readyAtMs !== undefined) return;
      this.#startFault = error;
      this.#died(thread);
    };
    standing.then(ended, ended);
    this.#workers.watch(piscina.threads);
  }

  #exited(id: number, thread: PoolThread | undefined): void {
    const { tracker } = this.#options;
    if (thread !== undefined) this.#died(thread);
    // After its tasks have settled: until then the row says what it had received. It may have died between its claim and its message.
    const row = thread?.row ?? tracker.rowOf(id);
    if (row !== undefined) tracker.release(row);
    // Not ready yet, and perhaps not even given its standing task: then Piscina says nothing of its death.
    if (thread === undefined) setImmediate(() => this.#failOrphanedStarts());
  }

  #failOrphanedStarts(): void {
    const starting = [...this.#threads].filter(({ readyAtMs, killed }) => readyAtMs === undefined && !killed);
    for (const thread of starting.slice(0, Math.max(0, starting.length - this.#workers.loading))) this.#died(thread);
  }

  #receive(thread: PoolThread, message: unknown): void {
    const parsed = parseThreadMessage(message);
    const isRead = Array.isArray(parsed) ? this.#dispatcher.outcomes(thread, parsed) : parsed !== undefined;
    if (!isRead) this.#options.onFault("a thread posted what is no message of the library", message);
    if (parsed === undefined || Array.isArray(parsed)) return;
    if (parsed.type === "ready") this.#cameUp(thread, parsed.threadId);
    else if (parsed.type === "user") this.#options.onMessage(parsed.value, parsed.threadId);
    else this.#options.onFault(parsed.message, parsed.stack);
  }

  #cameUp(thread: PoolThread, threadId: number): void {
    const row = this.#options.tracker.rowOf(threadId);
    if (row === undefined || thread.readyAtMs !== undefined || thread.killed || thread.gone) return;
    const worker = this.#workers.bind(threadId, thread);
    if (worker === undefined) return;
    thread.becomeReady(threadId, row, worker);
    this.#options.startLimit.ended();
    this.#backoff.cameUp();
    this.#startedOrFailed();
  }

  #killed(thread: PoolThread): void {
    thread.abort.abort();
    if (thread.readyAtMs !== undefined) {
      // Mostly it exits before.
      thread.deathTimer = setTimeout(() => this.#settle(thread), DEATH_MS).unref();
      this.#ensureThreads();
      return;
    }
    if (!this.closing) {
      this.#startFault = "they do not load in time";
      this.#options.onFault("a thread was ended before it came up", thread.leaving);
    }
    this.#died(thread);
  }

  #died(thread: PoolThread): void {
    if (thread.gone) return;
    const { leaving, killed, readyAtMs } = thread;
    thread.leaving ??= "exit";
    // Piscina may still have its standing task in its queue.
    if (readyAtMs === undefined) thread.abort.abort();
    this.#settle(thread);
    if (killed && readyAtMs !== undefined) return;
    if (readyAtMs === undefined && !killed && !this.closing) this.#options.onFault("a thread crashed while it started", this.#startFault);
    const upMs = readyAtMs === undefined ? undefined : monotonicMs() - readyAtMs;
    // Whoever was set aside has been replaced already, and what it dies of says nothing about the next one.
    if (!this.closing && !(thread.isSetAside && leaving === undefined)) this.#backoff.died(upMs, () => this.#ensureThreads());
    if (readyAtMs === undefined) this.#options.startLimit.ended();
    this.#startedOrFailed();
  }

  /** No line of its code runs any more: its outcomes are read, and what it has not answered is lost. */
  #settle(thread: PoolThread): void {
    if (thread.gone) return;
    thread.gone = true;
    thread.closePort();
    this.#threads.delete(thread);
    const reason = thread.leaving ?? "exit";
    if (thread.row !== undefined) this.#options.tracker.depart(thread.row);
    this.#dispatcher.gone(thread, reason);
    // A thread that never came up has no id, and `onFault` has told of it.
    if (!this.closing && thread.readyAtMs !== undefined) this.#options.onReplaced(this.#options.name, thread.id, reason);
  }
}
