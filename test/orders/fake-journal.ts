import {
  type AcceptRequest,
  type AcceptResult,
  type Compensation,
  type CompensationTried,
  type FinishRequest,
  JournalUnavailable,
  type OrderJournal,
  type OrderRecord,
  type StoredAnswer,
} from "../../src/orders/order-journal.ts";
import type { StepName } from "../../src/orders/steps.ts";
import type { DuePage } from "../../src/retries/retry-queue.ts";

/** A compensation as a row: not done as long as it has a next try. */
export interface Row extends Compensation {
  tries: number;
  nextTryMs: number | undefined;
  lastAnswer: string | undefined;
}

interface Known {
  attempt: number;
  amount: number;
  /** Undefined while it is open. */
  answer: StoredAnswer | undefined;
}

/** The domain's journal as a few arrays, which fails when a test asks for it. It knows no idempotency keys. */
export class FakeJournal implements OrderJournal {
  /** Writes are refused, as by a full disk. */
  full = false;
  /** So many of the next writes of that kind are refused. */
  readonly refusals = { accept: 0, finish: 0, compensationTried: 0 };
  /** Writes wait until this is opened. */
  gate: Promise<void> | undefined;
  readonly finished: FinishRequest[] = [];
  readonly tried: CompensationTried[] = [];
  readonly rows: Row[] = [];
  readonly #orders = new Map<string, Known>();

  async accept({ orderId, amount }: AcceptRequest): Promise<AcceptResult> {
    await this.#write("accept");
    const known = this.#orders.get(orderId);
    if (known === undefined || known.answer?.error !== undefined) {
      const attempt = 1 + (known?.attempt ?? 0);
      this.#orders.set(orderId, { attempt, amount, answer: undefined });
      return { type: "accepted", attempt };
    }
    if (known.amount !== amount) return { type: "conflict" };
    if (known.answer === undefined) return { type: "running", orderId, attempt: known.attempt };
    return { type: "replayed", answer: known.answer };
  }

  async finish(request: FinishRequest): Promise<void> {
    await this.#write("finish");
    const { orderId, attempt, answer, compensations } = request;
    const known = this.#orders.get(orderId);
    if (known?.attempt !== attempt || known.answer !== undefined) throw new Error(`attempt ${attempt} at order ${orderId} is not open`);
    known.answer = answer;
    this.finished.push(request);
    for (const { step, tries, nextTryMs, lastAnswer } of compensations) {
      this.rows.push({ id: this.rows.length + 1, orderId, attempt, amount: known.amount, step, tries, nextTryMs, lastAnswer });
    }
  }

  async compensationTried(tried: CompensationTried): Promise<void> {
    await this.#write("compensationTried");
    this.tried.push(tried);
    const row = this.row(tried.step, tried.orderId, tried.attempt);
    if (row.nextTryMs === undefined) return;
    row.tries++;
    row.nextTryMs = tried.nextTryMs;
    row.lastAnswer = tried.lastAnswer;
  }

  async dueCompensations(step: StepName, nowMs: number, limit: number): Promise<DuePage<Compensation>> {
    await this.gate;
    const waiting = this.rows.filter((row) => row.step === step && row.nextTryMs !== undefined);
    const dueMs = ({ nextTryMs = 0 }: Row) => nextTryMs;
    const items = waiting.filter((row) => dueMs(row) <= nowMs).toSorted((a, b) => dueMs(a) - dueMs(b));
    const later = waiting.filter((row) => dueMs(row) > nowMs).map(dueMs);
    return { items: items.slice(0, limit).map((row) => ({ ...row })), ...(later.length > 0 && { nextDueMs: Math.min(...later) }) };
  }

  find(): Promise<OrderRecord | undefined> {
    return Promise.resolve(undefined);
  }

  closeInterrupted(): Promise<number> {
    return Promise.resolve(0);
  }

  /** A row that waits, due at `nextTryMs`. */
  addRow(step: StepName, nextTryMs: number, orderId = `old-${this.rows.length + 1}`): Row {
    const row = { id: this.rows.length + 1, orderId, attempt: 1, amount: 1, step, tries: 0, nextTryMs, lastAnswer: undefined };
    this.rows.push(row);
    return row;
  }

  row(step: StepName, orderId: string, attempt = 1): Row {
    const row = this.rows.find((each) => each.step === step && each.orderId === orderId && each.attempt === attempt);
    if (row === undefined) throw new Error(`no row for ${step} of attempt ${attempt} at ${orderId}`);
    return row;
  }

  async #write(kind: keyof FakeJournal["refusals"]): Promise<void> {
    await this.gate;
    if (this.refusals[kind] > 0) this.refusals[kind]--;
    else if (!this.full) return;
    throw new JournalUnavailable("the disk is full");
  }
}
