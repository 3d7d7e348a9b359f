import { resolve } from "node:path";
import type { Answers, FoundAttempt, FoundOrder, JournalSettings, Query, QueryName, Reply } from "../../workers/journal/protocol.ts";
import type { AnswerBody } from "../orders/answer.ts";
import {
  type Backlog,
  type BackupDone,
  BackupExists,
  type CompensationRow,
  type Cursor,
  type DeadLetter,
  type OperatorJournal,
  type OrderFilter,
  type OrderSummary,
  type Page,
  type RowId,
} from "../orders/operator-journal.ts";
import type { EventOutbox, OrderEvent } from "../orders/order-event.ts";
import {
  type AcceptRequest,
  type AcceptResult,
  ATTEMPTS_SHOWN,
  type AttemptRecord,
  type Compensation,
  type CompensationStatus,
  type CompensationTried,
  type FinishRequest,
  JournalBusy,
  JournalUnavailable,
  type OrderJournal,
  type OrderRecord,
} from "../orders/order-journal.ts";
import type { StepName } from "../orders/step.ts";
import type { DuePage } from "../retries/retry-queue.ts";
import { CommitSizes } from "./commit-sizes.ts";
import { GroupCommit } from "./group-commit.ts";
import { JournalHealth } from "./journal-health.ts";
import { JournalOpenError } from "./journal-open-error.ts";
import { JournalThread, MAX_READS } from "./journal-thread.ts";

// Clients and operators may ask for the others as often as they like; however many do, refunds and events must go on.
const NEVER_REFUSED: readonly QueryName[] = ["dueCompensations", "dueEvents", "backlog"];

export interface SqliteJournalOptions {
  /** Whether outcomes leave events in the outbox. Default no: nobody would ever deliver them. */
  readonly events?: boolean;
  /** After each commit that wrote something: how many requests shared it and how long it took on the journal's thread. */
  readonly onCommit?: (requests: number, milliseconds: number) => void;
  /** Whenever `healthy` changes; the reason is for the log. */
  readonly onHealth?: (healthy: boolean, reason: string) => void;
  /**
   * Nobody knows any more what is durable: a thread of the journal died, or the disk failed in a commit. The process has to end at
   * once. Nothing that the journal was asked for settles from then on. At most once; must not throw. Default: the error is thrown
   * where nobody catches it.
   */
  readonly onFatal?: (reason: string) => void;
  /** Requests that may share a commit. For tests. */
  readonly maxBatch?: number;
  /** How large the database may grow, in pages of 4 KiB. For tests of a full disk. */
  readonly maxPages?: number;
  readonly probeMs?: number;
  /** How long the opening waits for another process to let go of the file. For tests. */
  readonly lockWaitMs?: number;
}

/** The journal on SQLite, on threads of its own. Main thread only; it never waits for the disk. */
export class SqliteJournal implements OrderJournal, EventOutbox, OperatorJournal {
  readonly #options: SqliteJournalOptions;
  /** Aborted: nobody knows any more what is durable. */
  readonly #loss: AbortSignal;
  readonly #onFatal: (reason: string) => void;
  readonly #writer: JournalThread;
  /** The writer itself for a journal in memory, which has one connection. */
  readonly #reader: JournalThread;
  readonly #commits: GroupCommit;
  readonly #health: JournalHealth;
  readonly #sizes = new CommitSizes();
  #reads = 0;
  #backup: Promise<BackupDone> | undefined;
  #closed: Promise<void> | undefined;

  private constructor(
    writer: JournalThread,
    reader: JournalThread,
    options: SqliteJournalOptions,
    loss: AbortSignal,
    onFatal: (reason: string) => void,
  ) {
    this.#options = options;
    this.#loss = loss;
    this.#onFatal = onFatal;
    this.#writer = writer;
    this.#reader = reader;
    this.#commits = new GroupCommit({
      send: (batch) => writer.write(batch),
      onReply: (reply, requests) => this.#onReply(reply, requests),
      ...(options.maxBatch !== undefined && { maxBatch: options.maxBatch }),
    });
    this.#health = new JournalHealth({
      probe: async () => this.#onReply(await writer.probe(), 0),
      ...(options.onHealth !== undefined && { onHealth: options.onHealth }),
      ...(options.probeMs !== undefined && { probeMs: options.probeMs }),
    });
    loss.addEventListener("abort", () => this.#abandon());
    if (loss.aborted) this.#abandon();
  }

  /**
   * Opens the journal `file`, made with its directory when missing, or one in memory (`"memory"`) that ends with
   * `close`. Rejects with `JournalOpenError` when it is damaged, not a journal, of a newer version, served by another process,
   * or cannot be written.
   */
  static async open(file: string, options: SqliteJournalOptions = {}): Promise<SqliteJournal> {
    const inMemory = file === "memory";
    const settings: JournalSettings = {
      file: inMemory ? ":memory:" : resolve(file),
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
    const writing = JournalThread.start(settings, onFatal);
    // It opens the file second, and finds it made and migrated.
    const reading = inMemory ? writing : JournalThread.start({ ...settings, role: "reader" }, onFatal, writing);
    const [writer, reader] = await Promise.all([writing, reading]);
    if (typeof writer === "string") throw new JournalOpenError(file, writer);
    if (typeof reader !== "string") return new SqliteJournal(writer, reader, options, loss.signal, onFatal);
    await writer.close();
    throw new JournalOpenError(file, reader);
  }

  /** False after a failed write, until one works again; one is tried every second. */
  get healthy(): boolean {
    return this.#health.healthy;
  }

  /** How many commits carried how many requests. */
  get commitSizes(): { upTo: number; commits: number }[] {
    return this.#sizes.steps();
  }

  /** Ends a thread of the journal as an accident would. For tests. */
  killThread(role: JournalSettings["role"] = "writer"): void {
    (role === "writer" ? this.#writer : this.#reader).kill();
  }

  async accept({ orderId, amount, key, nowMs }: AcceptRequest): Promise<AcceptResult> {
    const result = await this.#commits.request(
      key === undefined
        ? ["accept", orderId, amount, nowMs]
        : ["accept", orderId, amount, nowMs, key.client, key.key, key.bodyHash, key.expiresMs],
    );
    return typeof result === "number" ? { type: "accepted", attempt: result } : result;
  }

  async finish({ orderId, attempt, answer, compensations, nowMs }: FinishRequest): Promise<void> {
    const error = answer.error ?? null;
    await this.#commits.request(["finish", orderId, attempt, error, answer.json, nowMs, compensations.length === 0 ? null : compensations]);
  }

  async compensationTried({ orderId, attempt, step, nextTryMs, lastAnswer, nowMs }: CompensationTried): Promise<void> {
    await this.#commits.request(["compensationTried", orderId, attempt, step, nextTryMs ?? null, lastAnswer ?? null, nowMs]);
  }

  closeInterrupted(limit: number, nowMs: number): Promise<number> {
    return this.#commits.request(["closeInterrupted", limit, nowMs]);
  }

  async find(orderId: string, before?: number): Promise<OrderRecord | undefined> {
    const found = await this.#read(["find", orderId, before ?? null, ATTEMPTS_SHOWN]);
    return found === null ? undefined : recordOf(found);
  }

  dueCompensations(step: StepName, nowMs: number, limit: number): Promise<DuePage<Compensation>> {
    return this.#read(["dueCompensations", step, nowMs, limit]);
  }

  dueEvents(nowMs: number, limit: number): Promise<DuePage<OrderEvent>> {
    return this.#read(["dueEvents", nowMs, limit]);
  }

  async eventDelivered(seq: number, nowMs: number): Promise<void> {
    await this.#commits.request(["eventDelivered", seq, nowMs]);
  }

  async eventFailed(seq: number, nextTryMs: number): Promise<void> {
    await this.#commits.request(["eventFailed", seq, nextTryMs]);
  }

  async giveUpEvent(seq: number, reason: string, nowMs: number): Promise<void> {
    await this.#commits.request(["giveUpEvent", seq, reason, nowMs]);
  }

  giveUpExpired(expiredMs: number, reason: string, nowMs: number, limit: number): Promise<number> {
    return this.#commits.request(["giveUpExpired", expiredMs, reason, nowMs, limit]);
  }

  orders({ status, sinceMs, untilMs }: OrderFilter, cursor: Cursor | undefined, limit: number): Promise<Page<OrderSummary>> {
    return this.#read(["orders", status ?? null, sinceMs ?? 0, untilMs ?? Number.MAX_SAFE_INTEGER, cursor ?? null, limit]);
  }

  compensations(status: CompensationStatus, cursor: Cursor | undefined, limit: number): Promise<Page<CompensationRow>> {
    return this.#read(["compensations", status, cursor ?? null, limit]);
  }

  rowIdOf(text: string): number | undefined {
    return /^[1-9]\d{0,14}$/.test(text) ? Number(text) : undefined;
  }

  async compensation(id: RowId): Promise<CompensationRow | undefined> {
    return (await this.#read(["compensation", Number(id)])) ?? undefined;
  }

  async settleCompensation(id: RowId, note: string, nowMs: number): Promise<CompensationRow | undefined> {
    return (await this.#commits.request(["settleCompensation", Number(id), note, nowMs])) ?? undefined;
  }

  deadLetters(cursor: Cursor | undefined, limit: number): Promise<Page<DeadLetter>> {
    return this.#read(["deadLetters", cursor ?? null, limit]);
  }

  redeliver(seq: RowId, nowMs: number): Promise<boolean> {
    return this.#commits.request(["redeliver", Number(seq), nowMs]);
  }

  backlog(): Promise<Backlog> {
    return this.#read(["backlog"]);
  }

  backup(file: string): Promise<BackupDone> {
    // One at a time: two would only slow each other down, and might be of one name.
    const before = this.#backup ?? Promise.resolve();
    const backup = before.then(
      () => this.#backUp(file),
      () => this.#backUp(file),
    );
    this.#backup = backup;
    return backup;
  }

  /** Deletes up to `limit` idempotency keys that expired before `nowMs`. Returns how many. */
  expireKeys(nowMs: number, limit: number): Promise<number> {
    return this.#commits.request(["expireKeys", nowMs, limit]);
  }

  /**
   * Deletes what an order that ended before a time does not need any more; looks at up to `limit` orders from `after` on ([] at first).
   * Returns where to go on, null at the end.
   */
  retire(endedBeforeMs: number, after: Cursor, limit: number): Promise<Cursor | null> {
    return this.#commits.request(["retire", endedBeforeMs, after, limit]);
  }

  /** Deletes up to `limit` dead letters that were given up before a time. Returns how many. */
  expireDeadLetters(givenUpBeforeMs: number, limit: number): Promise<number> {
    return this.#commits.request(["expireDeadLetters", givenUpBeforeMs, limit]);
  }

  /** Makes the file shorter by up to so many pages that hold nothing. Returns how many more it could be. */
  shrink(pages: number): Promise<number> {
    return this.#commits.request(["shrink", pages]);
  }

  /**
   * Lets requests that are under way or wait end, a backup too, refuses later ones, closes the file and ends the threads. After a loss it
   * waits for none of them.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#health.close();
    await this.#commits.close();
    // A thread that ended in the middle of a backup would leave a part of it behind.
    if (!this.#loss.aborted) await this.#backup?.catch(() => {});
    // The reader first: the last connection that closes puts the log away.
    if (this.#reader !== this.#writer) await this.#reader.close();
    await this.#writer.close();
  }

  async #read<Name extends QueryName>(query: Query & readonly [Name, ...unknown[]]): Promise<Answers[Name]> {
    if (this.#closed !== undefined) throw new JournalUnavailable("the journal is closed");
    if (this.#reads >= MAX_READS && !NEVER_REFUSED.includes(query[0])) throw new JournalBusy(`${MAX_READS} reads wait already`);
    this.#reads++;
    try {
      const { answer, unavailable, fault } = await this.#unlessLost(this.#reader.read(query));
      if (fault !== undefined) throw new Error(fault);
      if (unavailable !== undefined) throw new JournalUnavailable(unavailable);
      return answer as Answers[Name];
    } finally {
      this.#reads--;
    }
  }

  async #backUp(file: string): Promise<BackupDone> {
    if (this.#closed !== undefined) throw new JournalUnavailable("the journal is closed");
    const startMs = performance.now();
    const { bytes, exists, failure } = await this.#unlessLost(this.#reader.backup(file));
    if (exists) throw new BackupExists(file);
    if (bytes === undefined) throw new JournalUnavailable(failure);
    return { file, bytes, durationMs: performance.now() - startMs };
  }

  #abandon(): void {
    this.#health.close();
    this.#commits.abandon();
  }

  /** A reader that lives may still answer; from a loss on nothing does. */
  async #unlessLost<T>(reply: Promise<T>): Promise<T> {
    const answer = await reply;
    return this.#loss.aborted ? new Promise<never>(() => {}) : answer;
  }

  #onReply(reply: Reply, requests: number): void {
    switch (reply.type) {
      case "fatal":
        this.#onFatal(reply.reason);
        return;
      case "refused":
        this.#health.failed(reply.reason);
        return;
      case "committed":
        if (reply.commitMs === undefined) return;
        if (requests > 0) {
          this.#sizes.record(requests);
          this.#options.onCommit?.(requests, reply.commitMs);
        }
        this.#health.works();
    }
  }
}

function recordOf({ orderId, attemptsTotal, latest, attempts }: FoundOrder): OrderRecord {
  return { orderId, amount: latest.amount, attemptsTotal, latest: attemptOf(latest), attempts: attempts.map(attemptOf) };
}

function attemptOf({ ended, ...attempt }: FoundAttempt): AttemptRecord {
  if (ended === undefined) return attempt;
  const { atMs, json, interrupted } = ended;
  return { ...attempt, ended: { atMs, answer: JSON.parse(json) as AnswerBody, interrupted } };
}

/** In a turn of its own: whoever noticed the loss must not catch it. */
function throwUncaught(reason: string): void {
  queueMicrotask(() => {
    throw new Error(`the journal is lost: ${reason}`);
  });
}
