import type { CompensationStatus } from "../orders/compensation-state.ts";
import {
  ACTIONS_SHOWN,
  type Backlog,
  type BackupDone,
  type CompensationRow,
  type Cursor,
  type DeadLetter,
  type HeldAttempt,
  type OperatorAction,
  type OperatorJournal,
  type OrderFilter,
  type OrderSummary,
  type Page,
  type RestoreConfirmed,
  type RestoreState,
  type RowId,
} from "../orders/operator-journal.ts";
import type { EventOutbox, OrderEvent } from "../orders/order-event.ts";
import {
  type AcceptRequest,
  type AcceptResult,
  type AnswerRequest,
  ATTEMPTS_SHOWN,
  type Compensation,
  type CompensationTried,
  type FinishRequest,
  JournalUnavailable,
  type OrderJournal,
  type OrderRecord,
} from "../orders/order-journal.ts";
import type { StepName } from "../orders/steps.ts";
import type { DuePage, DueRequest } from "../resilience/retry-queue.ts";
import type { JournalStore } from "./journal-store.ts";
import { type JournalOptions, type OpenStore, openStore } from "./open-store.ts";
import { recordOf } from "./order-record.ts";
import type { DueFields, JournalSettings, TriedFields } from "./protocol.ts";

export type { JournalOptions } from "./open-store.ts";

const UNKNOWN = "unknown";

/** The journal: in a file, on threads of its own, on PostgreSQL, or in memory. Main thread only; it never waits for the disk. */
export class Journal implements OrderJournal, EventOutbox, OperatorJournal {
  readonly #store: JournalStore;
  /** What nodes with one journal share. Absent where one process has it. */
  readonly cluster:
    | Pick<NonNullable<OpenStore["cluster"]>, "life" | "sureUntilMs" | "sql" | "others" | "onLifeEnded" | "hurry">
    | undefined;
  readonly nodes: OperatorJournal["nodes"];

  private constructor({ store, cluster }: OpenStore) {
    this.#store = store;
    this.cluster = cluster;
    if (cluster !== undefined) this.nodes = () => cluster.nodes();
  }

  /**
   * Opens a journal: a file, made with its directory when missing, a `postgres://` address, or `"memory"`, which ends with `close`. Rejects
   * with `JournalOpenError` when it is damaged, not a journal, of a newer version, served by another process, or cannot be reached or
   * written.
   */
  static async open(journal: string, options: JournalOptions = {}): Promise<Journal> {
    return new Journal(await openStore(journal, options));
  }

  /** False after a failed write, until one works again; one is tried every second. On PostgreSQL false while there is no session. */
  get healthy(): boolean {
    return this.#store.healthy;
  }

  /** How many commits carried how many requests. */
  get commitSizes(): JournalStore["commitSizes"] {
    return this.#store.commitSizes;
  }

  /** Ends a thread of the journal as an accident would. For tests. */
  killThread(role: JournalSettings["role"] = "writer"): void {
    this.#store.kill?.(role);
  }

  async accept({ orderId, amount, key, nowMs }: AcceptRequest): Promise<AcceptResult> {
    const result = await this.#store.request(
      key === undefined
        ? ["accept", orderId, amount, nowMs]
        : ["accept", orderId, amount, nowMs, key.client, key.key, key.bodyHash, key.expiresMs],
    );
    return typeof result === "number" ? { type: "accepted", attempt: result } : result;
  }

  async finish({ orderId, attempt, answer, answered, compensations, nowMs }: FinishRequest): Promise<readonly number[]> {
    const rows = compensations.length === 0 ? null : compensations.map(({ step, trying }) => [step, trying] as const);
    const { error = null, json } = answer;
    return (await this.#store.request(["finish", orderId, attempt, error, json, answered ? 1 : 0, nowMs, rows])) ?? [];
  }

  async answer({ orderId, attempt, json, answered, tried, nowMs }: AnswerRequest): Promise<void> {
    await this.#store.request(["answer", orderId, attempt, json, answered ? 1 : 0, nowMs, tried.map(triedFields)]);
  }

  compensationTried(tried: CompensationTried, nowMs: number): Promise<CompensationStatus> {
    return this.#store.request(["compensationTried", ...triedFields(tried), nowMs]);
  }

  takeCompensations(step: StepName, kind: "first" | "again", request: DueRequest): Promise<DuePage<Compensation>> {
    return this.#store.request(["takeCompensations", step, kind, ...dueFields(request)]);
  }

  async takeCompensation(id: number, nowMs: number = Date.now(), actor: string = UNKNOWN): Promise<CompensationRow | undefined> {
    return (await this.#store.request(["takeCompensation", id, nowMs, actor])) ?? undefined;
  }

  closeInterrupted(limit: number, nowMs: number): Promise<number> {
    return this.#store.request(["closeInterrupted", limit, nowMs]);
  }

  async find(orderId: string, before?: number): Promise<OrderRecord | undefined> {
    const found = await this.#store.read(["find", orderId, before ?? null, ATTEMPTS_SHOWN]);
    return found === null ? undefined : recordOf(found);
  }

  takeEvents(request: DueRequest): Promise<DuePage<OrderEvent>> {
    return this.#store.request(["takeEvents", ...dueFields(request)]);
  }

  async eventDelivered(seq: number, nowMs: number): Promise<void> {
    await this.#store.request(["eventDelivered", seq, nowMs]);
  }

  async eventFailed(seq: number, nextTryMs: number): Promise<void> {
    await this.#store.request(["eventFailed", seq, nextTryMs]);
  }

  async giveUpEvent(seq: number, reason: string, nowMs: number): Promise<void> {
    await this.#store.request(["giveUpEvent", seq, reason, nowMs]);
  }

  giveUpExpired(expiredMs: number, reason: string, nowMs: number, limit: number): Promise<number> {
    return this.#store.request(["giveUpExpired", expiredMs, reason, nowMs, limit]);
  }

  orders({ status, sinceMs, untilMs }: OrderFilter, cursor: Cursor | undefined, limit: number): Promise<Page<OrderSummary>> {
    return this.#store.read(["orders", status ?? null, sinceMs ?? 0, untilMs ?? Number.MAX_SAFE_INTEGER, cursor ?? null, limit]);
  }

  compensations(status: CompensationStatus, cursor: Cursor | undefined, limit: number): Promise<Page<CompensationRow>> {
    return this.#store.read(["compensations", status, cursor ?? null, limit]);
  }

  rowIdOf(text: string): number | undefined {
    const id = /^[1-9]\d{0,15}$/.test(text) ? Number(text) : undefined;
    return Number.isSafeInteger(id) ? id : undefined;
  }

  async compensation(id: RowId): Promise<CompensationRow | undefined> {
    return (await this.#store.read(["compensation", id])) ?? undefined;
  }

  async settleCompensation(id: RowId, note: string, nowMs: number, actor: string = UNKNOWN): Promise<CompensationRow | undefined> {
    return (await this.#store.request(["settleCompensation", id, note, nowMs, actor])) ?? undefined;
  }

  deadLetters(cursor: Cursor | undefined, limit: number): Promise<Page<DeadLetter>> {
    return this.#store.read(["deadLetters", cursor ?? null, limit]);
  }

  redeliver(seq: RowId, nowMs: number, actor: string = UNKNOWN): Promise<boolean> {
    return this.#store.request(["redeliver", seq, nowMs, actor]);
  }

  async noteAction({ atMs, actor, action, detail }: OperatorAction): Promise<void> {
    await this.#store.request(["noteAction", atMs, actor, action, detail ?? null]);
  }

  actionsOn(orderId: string): Promise<readonly OperatorAction[]> {
    return this.#store.read(["actions", orderId, ACTIONS_SHOWN]);
  }

  restore(): Promise<RestoreState> {
    return this.#store.read(["restore"]);
  }

  heldAttempts(cursor: Cursor | undefined, limit: number): Promise<Page<HeldAttempt>> {
    return this.#store.read(["heldAttempts", cursor ?? null, limit]);
  }

  confirmRestore(orderId: string | undefined, nowMs: number, limit: number, actor: string): Promise<RestoreConfirmed> {
    return this.#store.request(["confirmRestore", orderId ?? null, nowMs, limit, actor]);
  }

  backlog(): Promise<Backlog> {
    return this.#store.read(["backlog"]);
  }

  async backup(file: string): Promise<BackupDone> {
    if (this.#store.backup === undefined) throw new JournalUnavailable("only a journal in a file makes backups");
    return this.#store.backup(file);
  }

  /** When something ended last before a time (wall clock); undefined where nothing did. It may miss some that ended long before the newest. */
  async lastEndBefore(ms: number): Promise<number | undefined> {
    return (await this.#store.read(["lastEndBefore", ms])) ?? undefined;
  }

  /** Removes what backups that were cut off have left in a directory; to be called before the first backup. Returns their names. */
  async removeCutOffBackups(directory: string): Promise<readonly string[]> {
    return (await this.#store.removeCutOffBackups?.(directory)) ?? [];
  }

  /** Deletes up to `limit` idempotency keys that expired before `nowMs`. Returns how many. */
  expireKeys(nowMs: number, limit: number): Promise<number> {
    return this.#store.request(["expireKeys", nowMs, limit]);
  }

  /**
   * Deletes what old orders do not need any more: looks at up to `limit` from `after` on ([] at first). Returns where to go on, null at the
   * end.
   */
  retire(endedBeforeMs: number, after: Cursor, limit: number): Promise<Cursor | null> {
    return this.#store.request(["retire", endedBeforeMs, after, limit]);
  }

  /** Deletes up to `limit` dead letters that were given up before a time. Returns how many. */
  expireDeadLetters(givenUpBeforeMs: number, limit: number): Promise<number> {
    return this.#store.request(["expireDeadLetters", givenUpBeforeMs, limit]);
  }

  /** Deletes up to `limit` actions of operators that are about no order and were done before a time. Returns how many. */
  expireActions(beforeMs: number, limit: number): Promise<number> {
    return this.#store.request(["expireActions", beforeMs, limit]);
  }

  /**
   * Lets requests and a backup end that are under way, refuses later ones, and ends the threads; after a loss it waits for none. On
   * PostgreSQL it ends this node's life; without a session nothing is waited for, and other nodes end it.
   */
  close(): Promise<void> {
    return this.#store.close();
  }
}

function triedFields({ id, nextTryMs, lastAnswer }: CompensationTried): TriedFields {
  return [id, nextTryMs ?? null, lastAnswer ?? null];
}

function dueFields({ nowMs, limit, leastTried, underWay }: DueRequest): DueFields {
  return [nowMs, limit, leastTried, underWay];
}
