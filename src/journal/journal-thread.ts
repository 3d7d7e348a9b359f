import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Piscina } from "piscina";
import type { JournalSettings, OpenReply, Operation, Reply } from "../../workers/journal/protocol.ts";
import { JournalUnavailable, OutcomeUnknown } from "../orders/order-journal.ts";
import { Interruption } from "./interruption.ts";

const WORKER_FILE = fileURLToPath(new URL("../../workers/journal/main.ts", import.meta.url));

const REOPEN_PAUSE_MS = 50;
const MAX_REOPEN_PAUSE_MS = 1_000;
const DEATHS_AT_START = 5;
// A batch that takes its thread with it this often would do so for ever.
const MAX_DEATHS = 5;

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
  #death: Interruption;
  /** Set while there is no open journal: settles when there is again, or never will be. */
  #reopening: Promise<void> | undefined;
  readonly #hurry = new Interruption("the journal is being closed and its thread is gone");
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

  /**
   * Carries out a batch, on as many threads as it takes. One at a time. Rejects with `JournalUnavailable` when no thread
   * has got the batch, and with `OutcomeUnknown` when one had it and died.
   */
  async run(batch: readonly Operation[]): Promise<Reply> {
    for (let deaths = 0; ; deaths++) {
      const Unavailable = deaths === 0 ? JournalUnavailable : OutcomeUnknown;
      try {
        while (this.#reopening !== undefined) await this.#hurry.orElse(this.#reopening);
      } catch (error) {
        throw new Unavailable((error as Error).message);
      }
      if (this.#closing) throw new Unavailable("the journal is closed");
      try {
        const reply = await this.#death.orElse(this.#pool.run(batch));
        // Refused this time; but the thread that died may have carried it out.
        return deaths > 0 && reply.unavailable !== undefined ? { ...reply, unsure: true } : reply;
      } catch (error) {
        if ((error as Error).name === "DataCloneError") throw new Unavailable((error as Error).message);
        if (deaths === MAX_DEATHS) throw new OutcomeUnknown(`the journal's thread died ${deaths + 1} times over the same batch`);
        this.#replace(this.#death);
      }
    }
  }

  /** From now on nothing waits for a thread that is to take a dead one's place. For the end of the process. */
  hurry(): void {
    this.#hurry.happen();
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

  #startPool(): [Piscina, Interruption] {
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
    const death = new Interruption("the journal's thread ended");
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

  #replace(death: Interruption): void {
    if (this.#closing || this.#reopening !== undefined || death !== this.#death) return;
    this.#events.onDeath();
    this.#reopening = this.#reopen().then(() => {
      this.#reopening = undefined;
      if (!this.#closing) this.#events.onUp();
    });
  }

  async #reopen(): Promise<void> {
    for (let failures = 1; ; failures++) {
      try {
        // Piscina's own replacement would do, except for a thread that died while it was starting: it gets none.
        await this.#pool.destroy();
        if (this.#closing) return;
        [this.#pool, this.#death] = this.#startPool();
        const failure = await this.#open();
        if (failure === undefined) return;
        this.#events.onDown(failure);
      } catch (error) {
        // A thread that dies while it starts says nothing about the journal, unless it always does.
        if (failures >= DEATHS_AT_START) this.#events.onDown((error as Error).message);
      }
      await sleep(Math.min(failures * REOPEN_PAUSE_MS, MAX_REOPEN_PAUSE_MS));
    }
  }
}
