import type { AnswerBody } from "../orders/answer.ts";
import type { CompensationStatus } from "../orders/compensation-state.ts";
import {
  ACTIONS_SHOWN,
  type BackupDone,
  type Cursor,
  type OperatorAction,
  type OperatorJournal,
  type OrderFilter,
  type OrderSummary,
  type Page,
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
  type StoredAttempt,
} from "../orders/order-journal.ts";
import type { StepName } from "../orders/steps.ts";
import type { DuePage, DueRequest } from "../resilience/retry-queue.ts";
import type { JournalStore } from "./journal-store.ts";
import { type JournalOptions, type OpenStore, openStore } from "./open-store.ts";
import type { DueFields, FoundAttempt, JournalSettings, OperationName, QueryName, Reads, TriedFields, Writes } from "./protocol.ts";

export type { JournalOptions } from "./open-store.ts";

/** The journal: in a file, on threads of its own, on PostgreSQL, or in memory. Main thread only; it never waits for the disk. */
export class Journal implements OrderJournal, EventOutbox, OperatorJournal {
  readonly #store: JournalStore;
  /** What nodes with one journal share. Absent where one process has it. */
  readonly cluster:
    | Pick<NonNullable<OpenStore["cluster"]>, "life" | "sureUntilMs" | "sql" | "others" | "onLifeEnded" | "hurry">
    | undefined;
  readonly nodes: OperatorJournal["nodes"];
  /** What is passed on as it is. */
  readonly takeCompensation = this.#write("takeCompensation");
  readonly settleCompensation = this.#write("settleCompensation");
  readonly confirmRestore = this.#write("confirmRestore");
  readonly eventDelivered = this.#write("eventDelivered");
  readonly eventFailed = this.#write("eventFailed");
  readonly giveUpEvent = this.#write("giveUpEvent");
  readonly giveUpExpired = this.#write("giveUpExpired");
  readonly redeliver = this.#write("redeliver");
  readonly expireKeys = this.#write("expireKeys");
  readonly retire = this.#write("retire");
  readonly expireDeadLetters = this.#write("expireDeadLetters");
  readonly expireActions = this.#write("expireActions");
  readonly compensations = this.#read("compensations");
  readonly compensation = this.#read("compensation");
  readonly deadLetters = this.#read("deadLetters");
  readonly restore = this.#read("restore");
  readonly heldAttempts = this.#read("heldAttempts");
  readonly backlog = this.#read("backlog");
  readonly lastEndBefore = this.#read("lastEndBefore");

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

  closeInterrupted(limit: number, nowMs: number): Promise<number> {
    return this.#store.request(["closeInterrupted", limit, nowMs]);
  }

  async find(orderId: string, before?: number): Promise<OrderRecord | undefined> {
    const found = await this.#store.read(["find", orderId, before ?? null, ATTEMPTS_SHOWN]);
    if (found === null) return undefined;
    const { latest, attempts, ...order } = found;
    return { ...order, amount: latest.amount, latest: attemptOf(latest), attempts: attempts.map(attemptOf) };
  }

  takeEvents(request: DueRequest): Promise<DuePage<OrderEvent>> {
    return this.#store.request(["takeEvents", ...dueFields(request)]);
  }

  orders({ status, sinceMs, untilMs }: OrderFilter, cursor: Cursor | undefined, limit: number): Promise<Page<OrderSummary>> {
    return this.#store.read(["orders", status ?? null, sinceMs ?? 0, untilMs ?? Number.MAX_SAFE_INTEGER, cursor, limit]);
  }

  rowIdOf(text: string): number | undefined {
    const id = /^[1-9]\d{0,15}$/.test(text) ? Number(text) : undefined;
    return Number.isSafeInteger(id) ? id : undefined;
  }

  async noteAction({ atMs, actor, action, detail }: OperatorAction): Promise<void> {
    await this.#store.request(["noteAction", atMs, actor, action, detail ?? null]);
  }

  actionsOn(orderId: string): Promise<readonly OperatorAction[]> {
    return this.#store.read(["actions", orderId, ACTIONS_SHOWN]);
  }

  async backup(file: string): Promise<BackupDone> {
    if (this.#store.backup === undefined) throw new JournalUnavailable("only a journal in a file makes backups");
    return this.#store.backup(file);
  }

  /** Removes what backups that were cut off have left in a directory; to be called before the first backup. Returns their names. */
  async removeCutOffBackups(directory: string): Promise<readonly string[]> {
    return (await this.#store.removeCutOffBackups?.(directory)) ?? [];
  }

  /**
   * Lets requests and a backup end that are under way, refuses later ones, and ends the threads; after a loss it waits for none. On
   * PostgreSQL it ends this node's life; without a session nothing is waited for, and other nodes end it.
   */
  close(): Promise<void> {
    return this.#store.close();
  }

  #write<Name extends OperationName>(name: Name): Told<Writes[Name]> {
    return async (...asked) => told(await this.#store.request<Name>([name, ...asked] as never));
  }

  #read<Name extends QueryName>(name: Name): Told<Reads[Name]> {
    return async (...asked) => told(await this.#store.read<Name>([name, ...asked] as never));
  }
}

/** As the main thread has it: undefined for what there is not. */
type Told<Call extends (...asked: never[]) => unknown> = (
  ...asked: Parameters<Call>
) => Promise<null extends ReturnType<Call> ? Exclude<ReturnType<Call>, null> | undefined : ReturnType<Call>>;

function told(result: unknown): never {
  return (result ?? undefined) as never;
}

/** An attempt as its row has it, for those who look it up. */
function attemptOf({ ended, ...attempt }: FoundAttempt): StoredAttempt {
  if (ended === undefined) return attempt;
  const { atMs, json, interrupted } = ended;
  return { ...attempt, ended: { atMs, answer: JSON.parse(json) as AnswerBody, interrupted } };
}

function triedFields({ id, nextTryMs, lastAnswer }: CompensationTried): TriedFields {
  return [id, nextTryMs ?? null, lastAnswer ?? null];
}

function dueFields({ nowMs, limit, leastTried, underWay }: DueRequest): DueFields {
  return [nowMs, limit, leastTried, underWay];
}
