import { once } from "node:events";
import { resolve } from "node:path";
import { type BackupDone, BackupExists } from "../orders/operator-journal.ts";
import { JournalUnavailable } from "../orders/order-journal.ts";
import { GroupCommit } from "./group-commit.ts";
import { JournalHealth } from "./journal-health.ts";
import { JournalOpenError, type JournalStore } from "./journal-store.ts";
import type { Answers, JournalSettings, Operation, OperationName, Query, QueryName, Reply, Results } from "./protocol.ts";
import { ReadLimit } from "./read-limit.ts";
import { SqliteThread } from "./sqlite-thread.ts";

export interface SqliteOptions {
  /** Whether outcomes leave events in the outbox. Default no: nobody would ever deliver them. */
  readonly events?: boolean;
  /** After each commit that wrote something: how many requests shared it and how long it took on the journal's thread. */
  readonly onCommit?: (requests: number, milliseconds: number) => void;
  /** Whenever `healthy` changes; the reason is for the log. */
  readonly onHealth?: (healthy: boolean, reason: string) => void;
  /**
   * Nobody knows any more what is durable (a thread died, the disk failed in a commit): the process has to end at once, and nothing that
   * the journal was asked for settles. At most once; must not throw. Default: the error is thrown where nobody catches it.
   */
  readonly onFatal?: (reason: string) => void;
  /** Requests that may share a commit. For tests. */
  readonly maxBatch?: number;
  /** How large the database may grow, in pages of 4 KiB. For tests of a full disk. */
  readonly maxPages?: number;
  readonly probeMs?: number;
  /** How long the opening waits for another process to release the lock. For tests. */
  readonly lockWaitMs?: number;
}

interface Threads {
  readonly writer: SqliteThread;
  readonly reader: SqliteThread;
  /** Aborted: nobody knows any more what is durable. */
  readonly loss: AbortSignal;
  readonly onFatal: (reason: string) => void;
}

/** The journal on SQLite: how its threads start and end, and what their replies and their loss mean. Main thread only. */
export class SqliteStore implements JournalStore {
  readonly #threads: Threads;
  readonly #commits: GroupCommit;
  readonly #health: JournalHealth;
  readonly #readLimit = new ReadLimit();
  #backup: Promise<BackupDone> | undefined;
  #closed: Promise<void> | undefined;

  private constructor(threads: Threads, options: SqliteOptions) {
    const { writer, loss } = threads;
    this.#threads = threads;
    this.#commits = new GroupCommit({
      send: (batch) => writer.write(batch),
      onReply: (reply) => this.#onReply(reply),
      onCommit: options.onCommit,
      ...(options.maxBatch !== undefined && { maxBatch: options.maxBatch }),
    });
    this.#health = new JournalHealth({
      probe: async () => this.#onReply(await writer.probe()),
      ...(options.onHealth !== undefined && { onHealth: options.onHealth }),
      ...(options.probeMs !== undefined && { probeMs: options.probeMs }),
    });
    loss.addEventListener("abort", () => this.#abandon());
    if (loss.aborted) this.#abandon();
  }

  /** As `Journal.open`, for a file. */
  static async open(file: string, options: SqliteOptions): Promise<SqliteStore> {
    const settings: JournalSettings = {
      file: resolve(file),
      role: "writer",
      events: options.events ?? false,
      ...(options.maxPages !== undefined && { maxPages: options.maxPages }),
      ...(options.lockWaitMs !== undefined && { lockWaitMs: options.lockWaitMs }),
    };
    const loss = new AbortController();
    const onFatal = (reason: string) => {
      // Both threads may die of one cause.
      if (loss.signal.aborted) return;
      loss.abort();
      (options.onFatal ?? throwUncaught)(reason);
    };
    const writing = SqliteThread.start(settings, onFatal);
    // The reader opens the file after the writer has created and migrated it.
    const reading = SqliteThread.start({ ...settings, role: "reader" }, onFatal, writing);
    const [writer, reader] = await Promise.all([writing, reading]);
    if (typeof writer === "string") throw new JournalOpenError(file, writer);
    if (typeof reader !== "string") return new SqliteStore({ writer, reader, loss: loss.signal, onFatal }, options);
    await writer.close();
    throw new JournalOpenError(file, reader);
  }

  get healthy(): boolean {
    return this.#health.healthy;
  }

  kill(role: JournalSettings["role"]): void {
    this.#threads[role].kill();
  }

  backup(file: string): Promise<BackupDone> {
    // One at a time: two would slow each other down, and may have the same name.
    const before = this.#backup?.catch(() => {}) ?? Promise.resolve();
    this.#backup = before.then(() => this.#backUp(file));
    return this.#backup;
  }

  removeCutOffBackups(directory: string): Promise<readonly string[]> {
    return this.#threads.reader.removeCutOffBackups(directory);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  request<Name extends OperationName>(operation: Operation & readonly [Name, ...unknown[]]): Promise<Results[Name]> {
    return this.#commits.request<Name>(operation);
  }

  async read<Name extends QueryName>(query: Query & readonly [Name, ...unknown[]]): Promise<Answers[Name]> {
    if (this.#closed !== undefined) throw new JournalUnavailable("the journal is closed");
    return this.#readLimit.run(query[0], async () => {
      const { answer, unavailable, fault } = await this.#unlessLost(this.#threads.reader.read(query));
      if (fault !== undefined) throw new Error(fault);
      if (unavailable !== undefined) throw new JournalUnavailable(unavailable);
      return answer as Answers[Name];
    });
  }

  async #close(): Promise<void> {
    this.#health.close();
    await this.#commits.close();
    // A backup that is cut off would leave a partial file behind. After a loss it never ends.
    const { writer, reader, loss } = this.#threads;
    if (!loss.aborted) await Promise.race([this.#backup?.catch(() => {}), once(loss, "abort")]);
    // The writer last: the last connection that closes empties and removes the log.
    await reader.close();
    await writer.close();
  }

  async #backUp(file: string): Promise<BackupDone> {
    if (this.#closed !== undefined) throw new JournalUnavailable("the journal is closed");
    const startMs = performance.now();
    const { bytes, exists, failure } = await this.#unlessLost(this.#threads.reader.backup(file));
    if (exists) throw new BackupExists(file);
    if (bytes === undefined) throw new JournalUnavailable(failure);
    return { file, bytes, durationMs: performance.now() - startMs };
  }

  #abandon(): void {
    this.#health.close();
    this.#commits.abandon();
  }

  /** After a loss nothing settles, though a reader that lives still answers. */
  async #unlessLost<T>(reply: Promise<T>): Promise<T> {
    const answer = await reply;
    return this.#threads.loss.aborted ? new Promise<never>(() => {}) : answer;
  }

  #onReply(reply: Reply): void {
    if (reply.type === "fatal") this.#threads.onFatal(reply.reason);
    else if (reply.type === "refused") this.#health.failed(reply.reason);
    else if (reply.commitMs !== undefined) this.#health.works();
  }
}

/** In a microtask of its own, so that no caller catches it. */
function throwUncaught(reason: string): void {
  queueMicrotask(() => {
    throw new Error(`the journal is lost: ${reason}`);
  });
}
