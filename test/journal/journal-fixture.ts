import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Journal, type JournalOptions } from "../../src/journal/journal.ts";
import type { PostgresStore } from "../../src/journal/postgres/postgres-store.ts";
import type { AnswerBody } from "../../src/orders/answer.ts";
import type { ErrorKind } from "../../src/orders/error-kind.ts";
import type { OrderEvent } from "../../src/orders/order-event.ts";
import type { AcceptResult, Compensation, CompensationTried, IdempotencyKey, StoredAnswer } from "../../src/orders/order-journal.ts";
import type { StepName } from "../../src/orders/steps.ts";
import type { DuePage, DueRequest } from "../../src/resilience/retry-queue.ts";
import { eventually } from "../support/eventually.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres/index.ts";

export const DAY_MS = 86_400_000;
/** A moment for tests whose time stands still. */
export const NOW = Date.UTC(2026, 10, 21);
/** Later than anything that a test writes. */
export const FAR = NOW + 1_000 * DAY_MS;

export const STORES = ["memory", "file", "postgres"] as const;
export type StoreKind = (typeof STORES)[number];

// Debian's server where the environment says so, to run the same tests on the oldest version.
export const POSTGRES = process.env.POSTGRES === "debian" ? "debian" : "npm";
/** Of a node. */
export const CLUSTER = { node: { name: "test", version: "0.0.0", leaseMs: 10_000 }, callsEndMs: 1_000 };

/** A journal in a directory of its own, in memory, or in a PostgreSQL database of its own; `await using` closes it and deletes what it has. */
export class JournalFixture implements AsyncDisposable {
  readonly directory: string;
  readonly file: string;
  readonly #options: JournalOptions;
  readonly #database: FreshDatabase | undefined;
  #journal!: Journal;

  private constructor(kind: StoreKind, options: JournalOptions, database?: FreshDatabase) {
    this.directory = mkdtempSync(join(tmpdir(), "journal-"));
    this.file = database?.url ?? (kind === "memory" ? "memory" : join(this.directory, "orders.db"));
    this.#options = database === undefined ? options : { cluster: CLUSTER, ...options };
    this.#database = database;
  }

  static async open(kind: StoreKind, options: JournalOptions = {}): Promise<JournalFixture> {
    const fixture = new JournalFixture(kind, options, kind === "postgres" ? await freshDatabase(POSTGRES) : undefined);
    fixture.#journal = await Journal.open(fixture.file, fixture.#options);
    return fixture;
  }

  get journal(): Journal {
    return this.#journal;
  }

  /** What a start does with what the process before has left open. On PostgreSQL other nodes do it with a dead one; this one goes on as a new one. */
  async closeInterrupted(limit: number, nowMs: number, life = this.#journal.cluster?.life): Promise<number> {
    const journal = this.#journal;
    if (journal.cluster === undefined || life === undefined) return journal.closeInterrupted(limit, nowMs);
    const closed = await (journal.cluster as PostgresStore).request(["closeInterrupted", limit, nowMs, nowMs, life]);
    // The first write finds out.
    await journal.expireKeys(0, 1).catch(() => {});
    await eventually("a new life", () => journal.cluster?.life !== life && journal.healthy);
    return closed;
  }

  /** Closes the journal and opens it again, as a restart does. */
  async restart(options: JournalOptions = this.#options): Promise<void> {
    await this.#journal.close();
    this.#journal = await Journal.open(this.file, this.#database === undefined ? options : { cluster: CLUSTER, ...options });
  }

  accept(orderId: string, amount = 100, key?: IdempotencyKey, nowMs = NOW): Promise<AcceptResult> {
    return this.#journal.accept({ orderId, amount, nowMs, ...(key !== undefined && { key }) });
  }

  /** Ends an attempt as the service does: in one commit, or in two where it has compensations. Resolves with their ids. */
  async finish(orderId: string, ending: Ending = {}): Promise<readonly number[]> {
    const ids = await this.fail(orderId, ending);
    if (ids.length > 0) await this.answer(orderId, ids, ending);
    return ids;
  }

  /** The first of the two commits, with an answer that nobody gets. The only one without compensations. */
  fail(orderId: string, { attempt = 1, error, answered, compensations = [], nowMs = NOW }: Ending = {}): Promise<readonly number[]> {
    const isLast = compensations.length === 0;
    const answer = isLast ? answerTo(orderId, error) : answerBefore(orderId, error);
    const rows = compensations.map(({ step, tried }) => ({ step, trying: tried !== undefined }));
    return this.#journal.finish({ orderId, attempt, answer, answered: isLast && isAnswered(answered, error), compensations: rows, nowMs });
  }

  /** The second, with the ids that the first gave. */
  answer(
    orderId: string,
    ids: readonly number[],
    { attempt = 1, error, answered, compensations = [], nowMs = NOW }: Ending = {},
  ): Promise<void> {
    const tried = compensations.flatMap(({ step, tried: end }, index): CompensationTried[] =>
      end === undefined ? [] : [{ ...end, id: ids[index] as number, step }],
    );
    const { json } = answerTo(orderId, error);
    return this.#journal.answer({ orderId, attempt, json, answered: isAnswered(answered, error), tried, nowMs });
  }

  /** Accepts an order and ends it. Resolves with the ids of its compensations. */
  async run(orderId: string, ending: Ending = {}): Promise<readonly number[]> {
    const { nowMs = NOW } = ending;
    const accepted = await this.accept(orderId, 100, undefined, nowMs);
    if (accepted.type !== "accepted") throw new Error(`${orderId} was ${accepted.type}`);
    return this.finish(orderId, { ...ending, attempt: accepted.attempt });
  }

  /** Takes the compensations of a step that are due: those never tried first, then the others. */
  async take(step: StepName, nowMs = NOW): Promise<Compensation[]> {
    const first = await this.#journal.takeCompensations(step, "first", dueAt(nowMs));
    const again = await this.#journal.takeCompensations(step, "again", dueAt(nowMs));
    return [...first.items, ...again.items];
  }

  /** The events that are due. */
  dueEvents(nowMs: number, limit = 10_000): Promise<DuePage<OrderEvent>> {
    return this.#journal.takeEvents(dueAt(nowMs, limit));
  }

  /** Delivers everything in the outbox to a receiver that takes it all. Returns what it got, in the order in which it was written. */
  async deliverAll(): Promise<OrderEvent[]> {
    const delivered: OrderEvent[] = [];
    for (;;) {
      const { items } = await this.dueEvents(FAR);
      if (items.length === 0) return delivered.sort((one, other) => one.seq - other.seq);
      await Promise.all(items.map(({ seq }) => this.#journal.eventDelivered(seq, NOW)));
      delivered.push(...items);
    }
  }

  /** The same, as the receiver reads it. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into payloads whose shape is what they test.
  async payloads(): Promise<any[]> {
    return (await this.deliverAll()).map(({ payload }) => JSON.parse(payload));
  }

  /** What another process reads of the file while the journal runs. */
  query(sql: string): Record<string, unknown>[] {
    const db = new DatabaseSync(this.file, { readOnly: true });
    try {
      return db.prepare(sql).all();
    } finally {
      db.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#journal.close();
    await this.#database?.[Symbol.asyncDispose]();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export interface Ending {
  readonly attempt?: number;
  readonly error?: ErrorKind;
  /** Whether somebody receives the answer. Default: yes, but where the order was canceled from outside. */
  readonly answered?: boolean;
  readonly compensations?: readonly Planned[];
  readonly nowMs?: number;
}

/** A compensation, and how its first try ends before the answer is stored; without `tried` it is left to its queue. */
export interface Planned {
  readonly step: StepName;
  readonly tried?: Omit<CompensationTried, "id" | "step">;
}

/** What an attempt ended with; the order id is in it, so that an answer to another order is not mistaken for it. */
export function answerTo(orderId: string, error?: ErrorKind): StoredAnswer {
  const body: AnswerBody = {
    status: error === undefined ? "ok" : "error",
    order_id: orderId,
    steps: [{ name: "payment", status: "ok", duration_ms: 1 }],
    ...(error !== undefined && { error: { kind: error, message: "order failed" } }),
  };
  return { json: JSON.stringify(body), ...(error !== undefined && { error }) };
}

/** As it is stored with a failed attempt until its first tries have ended. */
export function answerBefore(orderId: string, error: ErrorKind = "internal"): StoredAnswer {
  const { json } = answerTo(orderId, error);
  return { error, json: json.replace('"duration_ms":1', '"duration_ms":1,"compensation":"pending"') };
}

function isAnswered(answered: boolean | undefined, error: ErrorKind | undefined): boolean {
  return answered ?? error !== "canceled";
}

export function keyOf(key: string, bodyHash = "body", expiresMs = NOW + DAY_MS, client = ""): IdempotencyKey {
  return { client, key, bodyHash, expiresMs };
}

/** Every row that is due. */
export function dueAt(nowMs: number, limit = 10_000): DueRequest {
  return { nowMs, limit, leastTried: false, underWay: [] };
}

/** Compensated at the first try. */
export function done(step: StepName): Planned {
  return { step, tried: {} };
}

/** Not tried yet: due from the end of its attempt on. */
export function pending(step: StepName): Planned {
  return { step };
}

/** The first try failed. */
export function postponed(step: StepName, nextTryMs = NOW, lastAnswer = "HTTP 503"): Planned {
  return { step, tried: { nextTryMs, lastAnswer } };
}
