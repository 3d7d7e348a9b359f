import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SqliteJournal, type SqliteJournalOptions } from "../../src/journal/sqlite-journal.ts";
import type { AnswerBody } from "../../src/orders/answer.ts";
import type { ErrorKind } from "../../src/orders/error-kind.ts";
import type { AcceptResult, FinishRequest, IdempotencyKey, StoredAnswer, UndoState } from "../../src/orders/order-journal.ts";

export const DAY_MS = 86_400_000;
/** A moment for tests whose time stands still. */
export const NOW = Date.UTC(2026, 10, 21);

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

  finish(orderId: string, { attempt = 1, error, undos = [], nowMs = NOW }: Ending = {}): Promise<StoredAnswer> {
    return this.#journal.finish({ orderId, attempt, answer: answerTo(orderId, error), undos, nowMs });
  }

  /** The outbox as its receiver would read it. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into payloads whose shape is what they test.
  async events(): Promise<any[]> {
    return (await this.#journal.undelivered(0, 10_000)).map(({ payload }) => JSON.parse(payload));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#journal.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export interface Ending {
  readonly attempt?: number;
  readonly error?: ErrorKind;
  readonly undos?: FinishRequest["undos"];
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

export function undo(step: UndoState["step"], done: boolean, tries = done ? 1 : 0): UndoState {
  return { step, done, tries };
}
