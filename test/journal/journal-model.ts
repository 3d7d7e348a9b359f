import type { ErrorKind } from "../../src/orders/error-kind.ts";
import {
  type AcceptRequest,
  type AcceptResult,
  ATTEMPTS_SHOWN,
  type AttemptRecord,
  type FirstTry,
  type OrderRecord,
} from "../../src/orders/order-journal.ts";
import { STEPS, type StepName } from "../../src/orders/steps.ts";
import { answerTo, DAY_MS } from "./journal-fixture.ts";

interface ModelCompensation {
  readonly step: StepName;
  tries: number;
  /** Absent once it is done or settled. */
  nextTryMs: number | undefined;
  /** When it was done or settled. */
  endedMs?: number;
  note?: string;
}

/** `ended` is absent while it runs. */
export interface Attempt {
  readonly orderId: string;
  readonly attempt: number;
  readonly amount: number;
  readonly acceptedMs: number;
  ended: { readonly atMs: number; readonly error: ErrorKind | undefined; readonly interrupted: boolean } | undefined;
  compensations: ModelCompensation[];
}

interface Key {
  readonly bodyHash: string;
  readonly expiresMs: number;
  readonly attempt: Attempt;
}

/** An event that is not delivered, in the outbox or among the dead letters. */
export interface Event {
  /** Not the journal's, but in the same order. */
  readonly seq: number;
  readonly type: string;
  readonly orderId: string;
  readonly attempt: number;
  expiresMs: number;
  tries: number;
  /** When it is due as soon as nothing of its order is before it. */
  nextTryMs: number;
  givenUpMs?: number;
}

/** What a journal should do, written the obvious way: everything in memory, every question a search. */
export class JournalModel {
  attempts: Attempt[] = [];
  /** In the order in which they are to be delivered. */
  outbox: Event[] = [];
  /** In the order in which they were written. */
  deadLetters: Event[] = [];
  readonly #keys = new Map<string, Key>();
  readonly #lastNumbers = new Map<string, number>();
  #lastSeq = 0;

  accept({ orderId, amount, key, nowMs }: AcceptRequest): AcceptResult {
    const keyName = key && `${key.client}/${key.key}`;
    const known = keyName === undefined ? undefined : this.#keys.get(keyName);
    if (key !== undefined && known !== undefined && holdsKeys(known.attempt)) {
      return known.bodyHash === key.bodyHash ? stateOf(known.attempt) : { type: "mismatch" };
    }
    const latest = this.#of(orderId).at(-1);
    const isTaken = latest !== undefined && latest.ended?.error === undefined;
    if (isTaken && latest.amount !== amount) return { type: "conflict" };
    const attempt = isTaken ? latest : this.#add(orderId, amount, nowMs);
    if (key !== undefined && keyName !== undefined) this.#keys.set(keyName, { ...key, attempt });
    return isTaken ? stateOf(attempt) : { type: "accepted", attempt: attempt.attempt };
  }

  /** Returns whether the attempt was open, and ends it then. */
  finish(attempt: Attempt, error: ErrorKind | undefined, compensations: readonly FirstTry[], nowMs: number): boolean {
    if (attempt.ended !== undefined) return false;
    this.#end(attempt, error, compensations, nowMs, false);
    return true;
  }

  closeInterrupted(nowMs: number): number {
    // Nobody relies on this order; the model has one to be comparable.
    const open = this.attempts.filter(({ ended }) => ended === undefined).sort((one, other) => (one.orderId < other.orderId ? -1 : 1));
    const compensations = STEPS.map((step) => ({ step, tries: 0, nextTryMs: nowMs }) as const);
    for (const attempt of open) this.#end(attempt, "internal", compensations, nowMs, true);
    return open.length;
  }

  pending(step: StepName): { attempt: Attempt; compensation: ModelCompensation; nextTryMs: number }[] {
    return this.attempts.flatMap((attempt) =>
      attempt.compensations.flatMap((compensation) => {
        const { nextTryMs } = compensation;
        return compensation.step === step && nextTryMs !== undefined ? [{ attempt, compensation, nextTryMs }] : [];
      }),
    );
  }

  compensationTried(attempt: Attempt, step: StepName, nextTryMs: number | undefined, nowMs: number): void {
    const compensation = attempt.compensations.find((candidate) => candidate.step === step);
    if (compensation?.nextTryMs === undefined) return;
    compensation.tries++;
    compensation.nextTryMs = nextTryMs;
    if (nextTryMs === undefined) compensation.endedMs = nowMs;
    this.#addEventWhenCompensated(attempt, nowMs);
  }

  settle(attempt: Attempt, step: StepName, note: string, nowMs: number): void {
    const compensation = attempt.compensations.find((candidate) => candidate.step === step);
    if (compensation?.nextTryMs === undefined) return;
    compensation.note = note;
    compensation.nextTryMs = undefined;
    compensation.endedMs = nowMs;
    this.#addEventWhenCompensated(attempt, nowMs);
  }

  /** The first event of each order. */
  heads(): Event[] {
    return [...Map.groupBy(this.outbox, ({ orderId }) => orderId).values()].flatMap(([head]) => head ?? []);
  }

  delivered(event: Event, nowMs: number): void {
    if (!this.outbox.includes(event)) return;
    const isHead = this.heads().includes(event);
    this.outbox = this.outbox.filter((other) => other !== event);
    const next = this.outbox.find(({ orderId }) => orderId === event.orderId);
    if (isHead && next !== undefined) next.nextTryMs = nowMs;
  }

  failed(event: Event, nextTryMs: number): void {
    if (!this.outbox.includes(event)) return;
    event.tries++;
    event.nextTryMs = nextTryMs;
  }

  giveUp(event: Event, nowMs: number): void {
    if (!this.outbox.includes(event)) return;
    this.delivered(event, nowMs);
    event.givenUpMs = nowMs;
    this.deadLetters.push(event);
    this.deadLetters.sort((one, other) => one.seq - other.seq);
  }

  giveUpExpired(expiredMs: number, nowMs: number, limit: number): number {
    const expired = this.outbox.slice(0, limit).filter(({ expiresMs }) => expiresMs <= expiredMs);
    for (const event of expired) this.giveUp(event, nowMs);
    return expired.length;
  }

  redeliver(event: Event, nowMs: number): boolean {
    if (!this.deadLetters.includes(event)) return false;
    this.deadLetters = this.deadLetters.filter((other) => other !== event);
    this.#write(event.type, event, nowMs);
    return true;
  }

  expireDeadLetters(beforeMs: number, limit: number): number {
    // Those that were given up first, which need not be the events that came first.
    const expired = this.deadLetters
      .filter(({ givenUpMs = 0 }) => givenUpMs < beforeMs)
      .sort((one, other) => (one.givenUpMs ?? 0) - (other.givenUpMs ?? 0) || one.seq - other.seq)
      .slice(0, limit);
    this.deadLetters = this.deadLetters.filter((letter) => !expired.includes(letter));
    return expired.length;
  }

  retire(beforeMs: number): void {
    this.attempts = this.attempts.filter(
      ({ ended, compensations }) =>
        ended?.error === undefined ||
        ended.atMs >= beforeMs ||
        compensations.some(({ nextTryMs, endedMs = 0 }) => nextTryMs !== undefined || endedMs >= beforeMs),
    );
  }

  expireKeys(nowMs: number): number {
    const expired = [...this.#keys].filter(([, { expiresMs }]) => expiresMs <= nowMs);
    for (const [name] of expired) this.#keys.delete(name);
    return expired.length;
  }

  find(orderId: string, before = Number.POSITIVE_INFINITY): OrderRecord | undefined {
    const all = this.#of(orderId);
    const latest = all.at(-1);
    if (latest === undefined) return undefined;
    const shown = all.filter(({ attempt }) => attempt < before).slice(-ATTEMPTS_SHOWN);
    const attemptsTotal = this.#lastNumbers.get(orderId) ?? 0;
    return { orderId, amount: latest.amount, attemptsTotal, latest: recordOf(latest), attempts: shown.map(recordOf) };
  }

  #end(
    attempt: Attempt,
    error: ErrorKind | undefined,
    compensations: readonly Omit<FirstTry, "lastAnswer">[],
    atMs: number,
    interrupted: boolean,
  ) {
    attempt.ended = { atMs, error, interrupted };
    attempt.compensations = compensations.map(({ step, tries, nextTryMs }) => ({ step, tries, nextTryMs }));
    this.#write(error === undefined ? "order.placed" : "order.failed", attempt, atMs);
    this.#addEventWhenCompensated(attempt, atMs);
  }

  #addEventWhenCompensated(attempt: Attempt, nowMs: number): void {
    const { compensations } = attempt;
    const isOver = compensations.length > 0 && compensations.every(({ nextTryMs }) => nextTryMs === undefined);
    if (isOver) this.#write("order.compensated", attempt, nowMs);
  }

  #write(type: string, { orderId, attempt }: { orderId: string; attempt: number }, nowMs: number): void {
    this.outbox.push({ seq: this.#lastSeq++, type, orderId, attempt, tries: 0, nextTryMs: nowMs, expiresMs: nowMs + DAY_MS });
  }

  #add(orderId: string, amount: number, acceptedMs: number): Attempt {
    const attempt = (this.#lastNumbers.get(orderId) ?? 0) + 1;
    this.#lastNumbers.set(orderId, attempt);
    const added: Attempt = { orderId, attempt, amount, acceptedMs, ended: undefined, compensations: [] };
    this.attempts.push(added);
    return added;
  }

  #of(orderId: string): Attempt[] {
    return this.attempts.filter((attempt) => attempt.orderId === orderId);
  }
}

/** Nobody got the answer of one that was canceled from outside or that a crash interrupted. */
function holdsKeys({ ended }: Attempt): boolean {
  return ended?.error !== "canceled" && ended?.interrupted !== true;
}

function stateOf({ orderId, attempt, ended }: Attempt): AcceptResult {
  return ended === undefined ? { type: "running", orderId, attempt } : { type: "replayed", answer: answerTo(orderId, ended.error) };
}

function recordOf({ orderId, attempt, amount, acceptedMs, ended, compensations }: Attempt): AttemptRecord {
  const states = compensations.map(({ step, tries, nextTryMs, note }) => {
    const status = nextTryMs !== undefined ? "pending" : note === undefined ? "done" : "settled";
    return { step, tries, status } as const;
  });
  const record = { attempt, amount, acceptedMs, compensations: states };
  if (ended === undefined) return record;
  const { json } = ended.interrupted ? interruptedAnswer(orderId) : answerTo(orderId, ended.error);
  return { ...record, ended: { atMs: ended.atMs, answer: JSON.parse(json), interrupted: ended.interrupted } };
}

function interruptedAnswer(orderId: string): { json: string } {
  const steps = STEPS.map((name) => ({ name, status: "error", duration_ms: 0, detail: "internal" }));
  return { json: JSON.stringify({ status: "error", order_id: orderId, steps, error: { kind: "internal", message: "order failed" } }) };
}
