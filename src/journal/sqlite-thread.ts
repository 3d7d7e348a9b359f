import { fileURLToPath } from "node:url";
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { Piscina } from "piscina";
import type { BackupReply, JournalSettings, OpenReply, Operation, Query, QueryReply, Reply } from "./protocol.ts";
import { MAX_READS } from "./read-limit.ts";

const WORKER_FILE = fileURLToPath(new URL("../../workers/journal/main.ts", import.meta.url));

// Three semi-spaces of 2 MB. The objects of a batch are garbage once its reply is sent, so larger spaces would only stay resident.
const YOUNG_GENERATION_MB = 6;

/**
 * One OS thread with a connection to the journal: a Piscina pool of one. Crash-only: when it dies its last batch is in doubt, so the
 * process has to end, and no request to it settles from then on. The thread that Piscina starts in its place never opens the journal.
 */
export class SqliteThread {
  readonly #pool: Piscina;
  readonly #onDeath: (reason: string) => void;
  /** The writer's, once the journal is open. */
  #lane: MessagePort | undefined;
  #onReply: ((reply: Reply) => void) | undefined;
  #state: "up" | "closing" | "dead" = "up";

  private constructor(settings: JournalSettings, onDeath: (reason: string) => void) {
    this.#pool = new Piscina({
      filename: WORKER_FILE,
      minThreads: 1,
      maxThreads: 1,
      // A backup takes seconds, in small steps of a helper thread. Reads run between the steps.
      concurrentTasksPerWorker: MAX_READS,
      idleTimeout: Number.POSITIVE_INFINITY,
      // The reader has neither timers nor a port of its own, so it may block until the next task. The writer's lane needs its event loop.
      atomics: settings.role === "reader" ? "sync" : "disabled",
      recordTiming: false,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
      workerData: settings,
    });
    this.#pool.on("error", (error: Error | null) => this.#died(`${error?.message ?? error}`));
    this.#onDeath = onDeath;
    this.#pool.threads[0]?.once("exit", (code) => this.#died(`exit code ${code}`));
  }

  /**
   * Opens the journal once `before` has. Resolves with the reason where either cannot. Calls `onDeath` at most once, and only after that.
   */
  static async start(
    settings: JournalSettings,
    onDeath: (reason: string) => void,
    before?: Promise<SqliteThread | string>,
  ): Promise<SqliteThread | string> {
    const starting = Promise.withResolvers<string>();
    let report: (reason: string) => void = starting.resolve;
    const thread = new SqliteThread(settings, (reason) => report(reason));
    const notOpened = await before?.catch(async (error: unknown) => {
      await thread.close();
      throw error;
    });
    const opened = typeof notOpened === "string" ? notOpened : thread.#run<OpenReply>(undefined, "open").then(({ failure }) => failure);
    const failure = await Promise.race([opened, starting.promise]);
    report = onDeath;
    if (failure === undefined) {
      if (settings.role === "writer") thread.#openLane();
      return thread;
    }
    await thread.close();
    return failure;
  }

  /** One batch at a time, of the writer. Rejects where the batch cannot be cloned: a bug of the caller. */
  write(batch: readonly Operation[]): Promise<Reply> {
    return new Promise((resolve) => {
      this.#onReply = resolve;
      this.#lane?.postMessage(batch);
    });
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

  removeCutOffBackups(directory: string): Promise<readonly string[]> {
    return this.#run(directory, "removeCutOffBackups");
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
    this.#lane?.close();
  }

  /** Batches go through a port: a Piscina task for each took a tenth of the main thread's time for an order. */
  #openLane(): void {
    const { port1, port2 } = new MessageChannel();
    port1.on("message", (reply: Reply) => this.#onReply?.(reply));
    this.#lane = port1;
    // Ends only with the thread, or by a bug in it.
    this.#pool.run(port2, { name: "serveWrites", transferList: [port2] as never }).catch((error: Error) => this.#died(error.message));
  }

  async #run<T>(task: unknown, name: string): Promise<T> {
    try {
      return await this.#pool.run(task, { name });
    } catch (error) {
      // The task never left the main thread: a bug of the caller.
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
