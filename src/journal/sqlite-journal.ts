import { randomInt, randomUUID } from "node:crypto";
import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { FoundAttempt, FoundOrder, JournalSettings, Reply } from "../../workers/journal/protocol.ts";
import type { AnswerBody } from "../orders/answer.ts";
import type { EventOutbox, OrderEvent } from "../orders/order-event.ts";
import type {
  AcceptRequest,
  AcceptResult,
  AttemptRecord,
  FinishRequest,
  OrderJournal,
  OrderRecord,
  StoredAnswer,
  UndoTask,
  UndoTried,
} from "../orders/order-journal.ts";
import { CommitSizes } from "./commit-sizes.ts";
import { GroupCommit } from "./group-commit.ts";
import { JournalOpenError } from "./journal-open-error.ts";
import { JournalThread, type JournalThreadEvents } from "./journal-thread.ts";

// Often enough that orders are taken again soon after there is room, seldom enough to be no load.
const PROBE_MS = 1_000;

export interface SqliteJournalOptions {
  /** Whether outcomes leave events in the outbox. Default no: nobody would ever deliver them. */
  readonly events?: boolean;
  /** After each commit that wrote something: how many requests shared it and how long it took on the journal's thread. */
  readonly onCommit?: (requests: number, milliseconds: number) => void;
  /** Whenever `healthy` changes; the reason is for the log. */
  readonly onHealth?: (healthy: boolean, reason: string) => void;
  /** The journal's thread died and is being replaced; no request is lost. */
  readonly onThreadDeath?: () => void;
  /** Requests that may share a commit. For tests. */
  readonly maxBatch?: number;
  /** How large the database may grow, in pages of 4 KiB. For tests of a full disk. */
  readonly maxPages?: number;
  readonly probeMs?: number;
}

/** The journal on SQLite, on a thread of its own. Main thread only; it never waits for the disk. */
export class SqliteJournal implements OrderJournal, EventOutbox {
  readonly #options: SqliteJournalOptions;
  readonly #thread: JournalThread;
  readonly #commits: GroupCommit;
  readonly #sizes = new CommitSizes();
  readonly #anchor: DatabaseSync | undefined;
  // From a random start, so that no row an earlier process has left carries a number of this one.
  #requestId = randomInt(2 ** 47);
  #trouble: string | undefined;
  #probeTimer: NodeJS.Timeout | undefined;
  #closed: Promise<void> | undefined;

  private constructor(thread: JournalThread, anchor: DatabaseSync | undefined, options: SqliteJournalOptions) {
    this.#options = options;
    this.#thread = thread;
    this.#anchor = anchor;
    this.#commits = new GroupCommit({
      send: (batch) => thread.run(batch),
      onReply: (reply, requests) => this.#onReply(reply, requests),
      ...(options.maxBatch !== undefined && { maxBatch: options.maxBatch }),
    });
  }

  /**
   * Opens the journal `file`, made with its directory when missing, or one in memory (`"memory"`) that ends with
   * `close`. Rejects with `JournalOpenError` when it is damaged, not a journal, of a newer version, open in another process,
   * or cannot be written.
   */
  static async open(file: string, options: SqliteJournalOptions = {}): Promise<SqliteJournal> {
    const inMemory = file === "memory";
    // A database in memory lives as long as some connection to it; this one outlives a thread that dies.
    const uri = `file:journal-${randomUUID()}?mode=memory&cache=shared`;
    const anchor = inMemory ? new DatabaseSync(uri) : undefined;
    const settings: JournalSettings = {
      file: inMemory ? uri : resolve(file),
      events: options.events ?? false,
      ...(options.maxPages !== undefined && { maxPages: options.maxPages }),
    };
    const events: JournalThreadEvents = {
      onDeath: () => options.onThreadDeath?.(),
      // Neither comes before `journal` is set: a thread that dies earlier is not replaced but fails the start.
      onDown: (reason) => journal.#onDown(reason),
      onUp: () => journal.#onUp(),
    };
    const thread = await JournalThread.start(settings, events);
    if (typeof thread === "string") {
      anchor?.close();
      throw new JournalOpenError(file, thread);
    }
    const journal = new SqliteJournal(thread, anchor, options);
    return journal;
  }

  /** False after a failed write, until one works again; one is tried every second. */
  get healthy(): boolean {
    return this.#trouble === undefined;
  }

  /** How many commits carried how many requests. */
  get commitSizes(): { upTo: number; commits: number }[] {
    return this.#sizes.steps();
  }

  /** Ends the journal's thread as an accident would; another takes over. For tests and chaos. */
  killThread(): void {
    this.#thread.kill();
  }

  async accept({ orderId, amount, key, nowMs }: AcceptRequest): Promise<AcceptResult> {
    const requestId = this.#requestId++;
    const result = await this.#commits.request(
      key === undefined
        ? ["accept", requestId, orderId, amount, nowMs]
        : ["accept", requestId, orderId, amount, nowMs, key.client, key.key, key.bodyHash, key.expiresMs],
    );
    return typeof result === "number" ? { type: "accepted", attempt: result } : result;
  }

  async finish({ orderId, attempt, answer, undos, nowMs }: FinishRequest): Promise<StoredAnswer> {
    const error = answer.error ?? null;
    const before = await this.#commits.request(["finish", orderId, attempt, error, answer.json, nowMs, undos.length === 0 ? null : undos]);
    return before ?? answer;
  }

  async undoTried({ orderId, attempt, step, done, nowMs }: UndoTried): Promise<void> {
    await this.#commits.request(["undoTried", this.#requestId++, orderId, attempt, step, done, nowMs]);
  }

  async find(orderId: string): Promise<OrderRecord | undefined> {
    const found = await this.#commits.request(["find", orderId]);
    return found === null ? undefined : recordOf(found);
  }

  closeInterrupted(limit: number, nowMs: number): Promise<number> {
    return this.#commits.request(["closeInterrupted", limit, nowMs]);
  }

  pendingUndos(afterId: number, limit: number): Promise<UndoTask[]> {
    return this.#commits.request(["pendingUndos", afterId, limit]);
  }

  expireKeys(nowMs: number, limit: number): Promise<number> {
    return this.#commits.request(["expireKeys", nowMs, limit]);
  }

  undelivered(afterSeq: number, limit: number): Promise<OrderEvent[]> {
    return this.#commits.request(["undelivered", afterSeq, limit]);
  }

  async delivered(seqs: readonly number[]): Promise<void> {
    if (seqs.length > 0) await this.#commits.request(["delivered", ...seqs]);
  }

  async giveUp(seq: number, reason: string, nowMs: number): Promise<void> {
    await this.#commits.request(["giveUp", seq, reason, nowMs]);
  }

  /**
   * The process is about to end: what waits because the journal's thread died and none could take its place ends now, as
   * unavailable or unknown, and so does whatever would begin to. A thread that works goes on.
   */
  hurry(): void {
    this.#thread.hurry();
  }

  /** Lets requests that are under way or wait end, refuses later ones, closes the file and ends the thread. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    clearInterval(this.#probeTimer);
    this.hurry();
    await this.#commits.idle();
    this.#commits.refuse("the journal is closed");
    await this.#thread.close();
    this.#anchor?.close();
  }

  #onReply({ commitMs, unavailable }: Reply, requests: number): void {
    if (unavailable !== undefined) {
      this.#failed(unavailable);
      return;
    }
    if (commitMs === undefined) return;
    this.#sizes.record(requests);
    this.#options.onCommit?.(requests, commitMs);
    this.#works();
  }

  #failed(reason: string): void {
    const wasHealthy = this.healthy;
    this.#trouble = reason;
    if (this.#closed !== undefined) return;
    this.#probeTimer ??= setInterval(() => this.#probe(), this.#options.probeMs ?? PROBE_MS).unref();
    if (wasHealthy) this.#options.onHealth?.(false, reason);
  }

  #works(): void {
    if (this.healthy) return;
    this.#trouble = undefined;
    clearInterval(this.#probeTimer);
    this.#probeTimer = undefined;
    this.#options.onHealth?.(true, "it can be written again");
  }

  #probe(): void {
    // The second write takes back what the first has written; only then is it known that it did.
    this.#commits
      .request(["probe", true])
      .then(() => this.#commits.request(["probe", false]))
      .catch(() => {});
  }

  #onDown(reason: string): void {
    this.#failed(reason);
    // Nothing of what waits has been sent, and nobody knows for how long it would have to wait.
    this.#commits.refuse(reason);
  }

  #onUp(): void {
    if (this.#closed !== undefined) return;
    this.#commits.refuse(undefined);
    if (!this.healthy) this.#probe();
  }
}

function recordOf({ orderId, amount, attempts }: FoundOrder): OrderRecord {
  return { orderId, amount, attempts: attempts.map(attemptOf) };
}

function attemptOf({ ended, ...attempt }: FoundAttempt): AttemptRecord {
  if (ended === undefined) return attempt;
  const { atMs, json, interrupted } = ended;
  return { ...attempt, ended: { atMs, answer: JSON.parse(json) as AnswerBody, interrupted } };
}
