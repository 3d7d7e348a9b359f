import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { SqliteJournal, type SqliteJournalOptions } from "../../src/journal/sqlite-journal.ts";
import type { AnswerBody } from "../../src/orders/answer.ts";
import type { ErrorKind } from "../../src/orders/error-kind.ts";
import type { OrderEvent } from "../../src/orders/order-event.ts";
import type { AcceptResult, FirstTry, IdempotencyKey, StoredAnswer } from "../../src/orders/order-journal.ts";
import type { StepName } from "../../src/orders/steps.ts";

export const DAY_MS = 86_400_000;
/** A moment for tests whose time stands still. */
export const NOW = Date.UTC(2026, 10, 21);
/** Later than anything that a test writes. */
export const FAR = NOW + 1_000 * DAY_MS;

/** A journal in a directory of its own, or in memory; `await using` closes the one and deletes the other. */
export class JournalFixture implements AsyncDisposable {
  readonly directory: string;
  readonly file: string;
  readonly #options: SqliteJournalOptions;
  #journal!: SqliteJournal;

  private constructor(kind: "file" | "memory", options: SqliteJournalOptions) {
    this.directory = mkdtempSync(join(tmpdir(), "journal-"));
    this.file = kind === "memory" ? "memory" : join(this.directory, "orders.db");
    this.#options = options;
  }

  static async open(kind: "file" | "memory", options: SqliteJournalOptions = {}): Promise<JournalFixture> {
    const fixture = new JournalFixture(kind, options);
    fixture.#journal = await SqliteJournal.open(fixture.file, options);
    return fixture;
  }

  get journal(): SqliteJournal {
    return this.#journal;
  }

  /** Closes the journal and opens it again, as a restart does. */
  async restart(options: SqliteJournalOptions = this.#options): Promise<void> {
    await this.#journal.close();
    this.#journal = await SqliteJournal.open(this.file, options);
  }

  accept(orderId: string, amount = 100, key?: IdempotencyKey, nowMs = NOW): Promise<AcceptResult> {
    return this.#journal.accept({ orderId, amount, nowMs, ...(key !== undefined && { key }) });
  }

  finish(orderId: string, { attempt = 1, error, compensations = [], nowMs = NOW }: Ending = {}): Promise<void> {
    return this.#journal.finish({ orderId, attempt, answer: answerTo(orderId, error), compensations, nowMs });
  }

  /** Accepts an order and ends it. */
  async run(orderId: string, ending: Ending = {}): Promise<void> {
    const { nowMs = NOW } = ending;
    const accepted = await this.accept(orderId, 100, undefined, nowMs);
    if (accepted.type !== "accepted") throw new Error(`${orderId} was ${accepted.type}`);
    await this.finish(orderId, { ...ending, attempt: accepted.attempt });
  }

  /** Delivers everything in the outbox to a receiver that takes it all. Returns what it got, in the order in which it was written. */
  async deliverAll(): Promise<OrderEvent[]> {
    const delivered: OrderEvent[] = [];
    for (;;) {
      const { items } = await this.#journal.dueEvents(FAR, 10_000);
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
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export interface Ending {
  readonly attempt?: number;
  readonly error?: ErrorKind;
  readonly compensations?: readonly FirstTry[];
  readonly nowMs?: number;
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

export function keyOf(key: string, bodyHash = "body", expiresMs = NOW + DAY_MS, client = ""): IdempotencyKey {
  return { client, key, bodyHash, expiresMs };
}

/** Compensated at the first try, before the attempt was stored. */
export function done(step: StepName): FirstTry {
  return { step, tries: 1 };
}

export function pending(step: StepName, nextTryMs = NOW, tries: 0 | 1 = 0): FirstTry {
  return { step, tries, nextTryMs };
}
