import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Piscina } from "piscina";
import type { JournalSettings, OpenReply, Operation, Reply } from "../../workers/journal/protocol.ts";
import { ThreadDeath } from "./thread-death.ts";

const WORKER_FILE = fileURLToPath(new URL("../../workers/journal/main.ts", import.meta.url));

const REOPEN_PAUSE_MS = 50;
const MAX_REOPEN_PAUSE_MS = 1_000;
const DEATHS_AT_START = 5;
// A batch that takes its thread with it this often would do so for ever.
const MAX_DEATHS = 5;

/** The journal's thread is gone for good: it was closed, or a batch ends it again and again. */
export class ThreadGone extends Error {}

export interface JournalThreadEvents {
  /** The thread ended by accident; another one takes over. */
  readonly onDeath: () => void;
  /** Its successor could not open the journal; it is tried again and again. */
  readonly onDown: (reason: string) => void;
  /** Its successor has the journal open. */
  readonly onUp: () => void;
}

/**
 * One OS thread with the journal open on it: a Piscina pool of one. When it dies another takes its place and a batch
 * that was under way is sent again, which is safe because an operation that is repeated has no second effect. Main
 * thread only.
 */
export class JournalThread {
  readonly #settings: JournalSettings;
  readonly #events: JournalThreadEvents;
  #pool: Piscina;
  #death: ThreadDeath;
  /** Set while there is no open journal: settles when there is again, or never will be. */
  #reopening: Promise<void> | undefined;
  #closing = false;

  private constructor(settings: JournalSettings, events: JournalThreadEvents) {
    this.#settings = settings;
    this.#events = events;
    [this.#pool, this.#death] = this.#startPool();
  }

  /** Starts the thread and opens the journal on it. A string is the reason why that cannot be. */
  static async start(settings: JournalSettings, events: JournalThreadEvents): Promise<JournalThread | string> {
    const thread = new JournalThread(settings, events);
    try {
      const failure = await thread.#open();
      if (failure === undefined) return thread;
      await thread.close();
      return failure;
    } catch (error) {
      await thread.close();
      throw error;
    }
  }

  /** Whether there is no thread with an open journal at this moment. */
  get isDown(): boolean {
    return this.#reopening !== undefined;
  }

  /**
   * Carries out a batch, on as many threads as it takes. One at a time. Rejects with `ThreadGone`, then nobody knows what
   * became of the batch, and with what Piscina says when the batch cannot be sent.
   */
  async run(batch: readonly Operation[]): Promise<Reply> {
    for (let deaths = 0; ; deaths++) {
      while (this.#reopening !== undefined) await this.#reopening;
      if (this.#closing) throw new ThreadGone("the journal is closed");
      try {
        return await this.#death.orElse(this.#pool.run(batch));
      } catch (error) {
        if ((error as Error).name === "DataCloneError") throw error;
        if (deaths === MAX_DEATHS) throw new ThreadGone(`the journal's thread died ${deaths + 1} times over the same batch`);
        this.#replace(this.#death);
      }
    }
  }

  /** Ends the thread as an accident would. For tests and chaos. */
  kill(): void {
    for (const worker of this.#pool.threads) void worker.terminate();
  }

  /** Closes the journal in order and ends the thread. Let the last batch end before. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#reopening;
    await this.#death.orElse(this.#pool.run(undefined, { name: "close" })).catch(() => {});
    await this.#pool.destroy();
  }

  #startPool(): [Piscina, ThreadDeath] {
    const pool = new Piscina({
      filename: WORKER_FILE,
      minThreads: 1,
      maxThreads: 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      // It has no timer and no socket to serve between two batches, so it may sleep until the next one.
      atomics: "sync",
      recordTiming: false,
      workerData: this.#settings,
    });
    // Piscina tells of a dead thread in three ways, depending on what it was doing; `exit` is the one that always comes.
    pool.on("error", () => {});
    const death = new ThreadDeath();
    pool.threads[0]?.once("exit", () => {
      death.happen();
      this.#replace(death);
    });
    return [pool, death];
  }

  async #open(): Promise<string | undefined> {
    const { failure } = (await this.#death.orElse(this.#pool.run(undefined, { name: "open" }))) as OpenReply;
    return failure;
  }

  #replace(death: ThreadDeath): void {
    if (this.#closing || this.#reopening !== undefined || death !== this.#death) return;
    this.#events.onDeath();
    this.#reopening = this.#reopen().then(() => {
      this.#reopening = undefined;
      this.#events.onUp();
    });
  }

  async #reopen(): Promise<void> {
    for (let failures = 1; ; failures++) {
      // Piscina's own replacement would do, except for a thread that died while it was starting: it gets none.
      await this.#pool.destroy();
      if (this.#closing) return;
      [this.#pool, this.#death] = this.#startPool();
      // A thread that dies while it starts says nothing about the journal, unless it always does.
      const failure = await this.#open().catch((error: Error) => (failures < DEATHS_AT_START ? "" : error.message));
      if (failure === undefined) return;
      if (failure !== "") this.#events.onDown(failure);
      await sleep(Math.min(failures * REOPEN_PAUSE_MS, MAX_REOPEN_PAUSE_MS));
    }
  }
}
