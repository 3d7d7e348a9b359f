import { fileURLToPath } from "node:url";
import { Piscina } from "piscina";
import type { BackupReply, JournalSettings, OpenReply, Operation, Query, QueryReply, Reply } from "./protocol.ts";

const WORKER_FILE = fileURLToPath(new URL("../../workers/journal/main.ts", import.meta.url));

// Three semi-spaces of 2 MB. What a batch brings is dead when its reply is out, so a larger one only stays resident.
const YOUNG_GENERATION_MB = 6;

/**
 * One OS thread with a connection to the journal: a Piscina pool of one. It is not replaced when it dies: what it was doing then
 * may or may not be durable, so the process has to end (crash-only: the next start finds out, which has to work anyway).
 * From then on nothing that was asked of it settles, because nobody may act on a guess. Main thread only.
 */
export class JournalThread {
  readonly #pool: Piscina;
  readonly #onDeath: (reason: string) => void;
  #state: "up" | "closing" | "dead" = "up";

  private constructor(settings: JournalSettings, onDeath: (reason: string) => void) {
    this.#pool = new Piscina({
      filename: WORKER_FILE,
      minThreads: 1,
      maxThreads: 1,
      // A backup goes on for seconds, in steps of a helper thread; reads go on between them.
      concurrentTasksPerWorker: settings.role === "reader" ? MAX_READS : 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      // It has no timer and no socket to serve between two tasks, so it may sleep until the next one.
      atomics: "sync",
      recordTiming: false,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
      workerData: settings,
    });
    this.#pool.on("error", () => {});
    this.#onDeath = onDeath;
    this.#pool.threads[0]?.once("exit", (code) => this.#died(`exit code ${code}`));
  }

  /**
   * Starts the thread and opens the journal on it, once `before` has opened it: the thread starts at once. A string is the reason why
   * that cannot be, or why `before` could not. `onDeath` comes at most once, and only after that.
   */
  static async start(
    settings: JournalSettings,
    onDeath: (reason: string) => void,
    before?: Promise<JournalThread | string>,
  ): Promise<JournalThread | string> {
    const starting = Promise.withResolvers<string>();
    let tell: (reason: string) => void = starting.resolve;
    const thread = new JournalThread(settings, (reason) => tell(reason));
    const notOpened = await before?.catch(async (error: unknown) => {
      await thread.close();
      throw error;
    });
    const opened = typeof notOpened === "string" ? notOpened : thread.#run<OpenReply>(undefined, "open").then(({ failure }) => failure);
    const failure = await Promise.race([opened, starting.promise]);
    tell = onDeath;
    if (failure === undefined) return thread;
    await thread.close();
    return failure;
  }

  write(batch: readonly Operation[]): Promise<Reply> {
    return this.#run(batch);
  }

  probe(): Promise<Reply> {
    return this.#run(undefined, "probe");
  }

  read(query: Query): Promise<QueryReply> {
    return this.#run(query, "read");
  }

  backup(file: string): Promise<BackupReply> {
    return this.#run(file, "backup");
  }

  /** Ends the thread as an accident would. For tests. */
  kill(): void {
    for (const worker of this.#pool.threads) void worker.terminate();
  }

  /** Closes the file in order and ends the thread. Let the last batch end before. */
  async close(): Promise<void> {
    const wasUp = this.#state === "up";
    this.#state = "closing";
    if (wasUp) await this.#pool.run(undefined, { name: "close" }).catch(() => {});
    await this.#pool.destroy();
  }

  async #run<T>(task: unknown, name?: string): Promise<T> {
    try {
      return await this.#pool.run(task, name === undefined ? {} : { name });
    } catch (error) {
      // It never left this thread: a bug of the caller.
      if ((error as Error).name === "DataCloneError") throw error;
      this.#died((error as Error).message);
      return new Promise<never>(() => {});
    }
  }

  #died(reason: string): void {
    if (this.#state !== "up") return;
    this.#state = "dead";
    this.#onDeath(`the journal's thread ended (${reason})`);
  }
}

/** Reads that may be under way or wait; further ones are refused. */
export const MAX_READS = 256;
