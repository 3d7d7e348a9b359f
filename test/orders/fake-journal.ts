import type { CompensationStatus } from "../../src/orders/compensation-state.ts";
import {
  type AcceptRequest,
  type AcceptResult,
  type AnswerRequest,
  type Compensation,
  type CompensationTried,
  type FinishRequest,
  JournalUnavailable,
  type OrderJournal,
  type OrderRecord,
  type StoredAnswer,
} from "../../src/orders/order-journal.ts";
import type { StepName } from "../../src/orders/steps.ts";
import type { DuePage, DueRequest } from "../../src/resilience/retry-queue.ts";

/** A compensation as a row. */
export interface Row extends Compensation {
  tries: number;
  status: CompensationStatus;
  /** While it is pending. */
  nextTryMs: number | undefined;
  lastAnswer: string | undefined;
}

interface Known {
  attempt: number;
  amount: number;
  isOpen: boolean;
  /** Undefined while it has not ended. */
  answer: StoredAnswer | undefined;
}

type Write = "accept" | "finish" | "answer" | "compensationTried" | "takeCompensations";

/** The domain's journal as a few arrays, which fails and waits when a test asks for it. It knows no idempotency keys. */
export class FakeJournal implements OrderJournal {
  /** Writes are refused, as by a full disk. */
  full = false;
  /** So many of the next writes of that kind are refused. */
  readonly refusals: Record<Write, number> = { accept: 0, finish: 0, answer: 0, compensationTried: 0, takeCompensations: 0 };
  /** Writes of that kind wait until this is opened. */
  readonly gates: Partial<Record<Write, Promise<void>>> = {};
  /** What was written, in order. */
  readonly commits: Write[] = [];
  readonly finished: FinishRequest[] = [];
  readonly answered: AnswerRequest[] = [];
  /** Results that were stored one by one. */
  readonly tried: CompensationTried[] = [];
  readonly rows: Row[] = [];
  readonly #orders = new Map<string, Known>();

  async accept({ orderId, amount }: AcceptRequest): Promise<AcceptResult> {
    await this.#write("accept");
    const known = this.#orders.get(orderId);
    if (known === undefined || (!known.isOpen && known.answer?.error !== undefined)) {
      const attempt = 1 + (known?.attempt ?? 0);
      this.#orders.set(orderId, { attempt, amount, isOpen: true, answer: undefined });
      return { type: "accepted", attempt };
    }
    if (known.amount !== amount) return { type: "conflict" };
    if (known.isOpen) return { type: "running", orderId, attempt: known.attempt };
    return { type: "replayed", answer: known.answer as StoredAnswer };
  }

  async finish(request: FinishRequest): Promise<readonly number[]> {
    await this.#write("finish");
    const { orderId, attempt, answer, compensations, nowMs } = request;
    const known = this.#open(orderId, attempt);
    if (known.answer !== undefined) throw new Error(`attempt ${attempt} at order ${orderId} has ended`);
    known.answer = answer;
    known.isOpen = compensations.length > 0;
    this.finished.push(request);
    return compensations.map(({ step, trying }) => {
      const row = this.addRow(step, trying ? undefined : nowMs, orderId);
      Object.assign(row, { attempt, amount: known.amount, ...(trying && { status: "trying" }) });
      return row.id;
    });
  }

  async answer(request: AnswerRequest): Promise<void> {
    await this.#write("answer");
    const { orderId, attempt, json, tried } = request;
    const known = this.#open(orderId, attempt);
    known.isOpen = false;
    known.answer = { ...known.answer, json };
    this.answered.push(request);
    for (const one of tried) this.#tried(one);
  }

  async compensationTried(tried: CompensationTried): Promise<CompensationStatus> {
    await this.#write("compensationTried");
    this.tried.push(tried);
    return this.#tried(tried);
  }

  async takeCompensations(
    step: StepName,
    kind: "first" | "again",
    { nowMs, limit, leastTried }: DueRequest,
  ): Promise<DuePage<Compensation>> {
    // Not a commit where it takes nothing.
    await this.#may("takeCompensations");
    const waiting = this.rows.filter((row) => row.step === step && row.status === "pending" && row.tries > 0 === (kind === "again"));
    const dueMs = ({ nextTryMs = 0 }: Row) => nextTryMs;
    const due = waiting.filter((row) => dueMs(row) <= nowMs);
    const items = due.toSorted((a, b) => (leastTried ? a.tries - b.tries : dueMs(a) - dueMs(b))).slice(0, limit);
    const later = waiting.filter((row) => dueMs(row) > nowMs).map(dueMs);
    for (const row of items) Object.assign(row, { status: "trying", nextTryMs: undefined });
    if (items.length > 0) this.commits.push("takeCompensations");
    return { items: items.map((row) => ({ ...row })), ...(later.length > 0 && { nextDueMs: Math.min(...later) }) };
  }

  find(): Promise<OrderRecord | undefined> {
    return Promise.resolve(undefined);
  }

  closeInterrupted(): Promise<number> {
    return Promise.resolve(0);
  }

  /** A row that waits, due at `nextTryMs`. */
  addRow(step: StepName, nextTryMs: number | undefined, orderId = `old-${this.rows.length + 1}`, tries = 0): Row {
    const id = this.rows.length + 1;
    const row: Row = { id, orderId, attempt: 1, amount: 1, step, tries, status: "pending", nextTryMs, lastAnswer: undefined };
    this.rows.push(row);
    return row;
  }

  /** As an operator's request does. */
  take(row: Row): Compensation {
    if (row.status !== "pending") throw new Error(`compensation ${row.id} is ${row.status}`);
    Object.assign(row, { status: "trying", nextTryMs: undefined });
    return { ...row };
  }

  row(step: StepName, orderId: string, attempt = 1): Row {
    const row = this.rows.find((each) => each.step === step && each.orderId === orderId && each.attempt === attempt);
    if (row === undefined) throw new Error(`no row for ${step} of attempt ${attempt} at ${orderId}`);
    return row;
  }

  #open(orderId: string, attempt: number): Known {
    const known = this.#orders.get(orderId);
    if (known?.attempt !== attempt || !known.isOpen) throw new Error(`attempt ${attempt} at order ${orderId} is not open`);
    return known;
  }

  #tried({ id, step, nextTryMs, lastAnswer }: CompensationTried): CompensationStatus {
    const row = this.rows[id - 1];
    if (row?.step !== step) throw new Error(`there is no compensation ${id} of ${step}`);
    if (row.status !== "trying") return row.status;
    row.tries++;
    row.status = nextTryMs === undefined ? "done" : "pending";
    row.nextTryMs = nextTryMs;
    row.lastAnswer = lastAnswer;
    return row.status;
  }

  async #write(kind: Write): Promise<void> {
    await this.#may(kind);
    this.commits.push(kind);
  }

  async #may(kind: Write): Promise<void> {
    await this.gates[kind];
    if (this.refusals[kind] > 0) this.refusals[kind]--;
    else if (!this.full) return;
    throw new JournalUnavailable("the disk is full");
  }
}
