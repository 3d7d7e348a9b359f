import type { ErrorKind } from "../../src/orders/error-kind.ts";
import type { AcceptRequest, AcceptResult, AttemptRecord, OrderRecord, UndoState } from "../../src/orders/order-journal.ts";
import { answerTo } from "./journal-fixture.ts";

/** `ended` is absent while it runs. */
export interface Attempt {
  readonly orderId: string;
  readonly attempt: number;
  readonly amount: number;
  readonly acceptedMs: number;
  ended: { readonly atMs: number; readonly error: ErrorKind | undefined; readonly interrupted: boolean } | undefined;
  undos: { step: UndoState["step"]; done: boolean; tries: number }[];
}

interface Key {
  readonly bodyHash: string;
  readonly expiresMs: number;
  readonly attempt: Attempt;
}

/** What a journal should do, written the obvious way: everything in memory, nothing deleted, every question a search. */
export class JournalModel {
  readonly attempts: Attempt[] = [];
  readonly #keys = new Map<string, Key>();
  readonly events: [type: string, orderId: string, attempt: number][] = [];

  accept({ orderId, amount, key, nowMs }: AcceptRequest): AcceptResult {
    const keyName = key && `${key.client}/${key.key}`;
    const known = keyName === undefined ? undefined : this.#keys.get(keyName);
    if (key !== undefined && known !== undefined && known.expiresMs > nowMs) {
      return known.bodyHash === key.bodyHash ? this.#stateOf(known.attempt) : { type: "mismatch" };
    }
    const latest = this.#of(orderId).at(-1);
    const isTaken = latest !== undefined && latest.ended?.error === undefined;
    if (isTaken && latest.amount !== amount) return { type: "conflict" };
    const attempt = isTaken ? latest : this.#add(orderId, (latest?.attempt ?? 0) + 1, amount, nowMs);
    if (key !== undefined && keyName !== undefined) this.#keys.set(keyName, { ...key, attempt });
    return isTaken ? this.#stateOf(attempt) : { type: "accepted", attempt: attempt.attempt };
  }

  /** Ends an attempt, unless it has ended. Returns how it has. */
  finish(orderId: string, number: number, error: ErrorKind | undefined, undos: readonly UndoState[], nowMs: number): ErrorKind | undefined {
    const attempt = this.#one(orderId, number);
    if (attempt.ended === undefined) this.#end(attempt, error, undos, nowMs, false);
    return attempt.ended?.error;
  }

  closeInterrupted(nowMs: number): number {
    const open = this.attempts.filter(({ ended }) => ended === undefined);
    const undos = (["courier", "vendor", "payment"] as const).map((step) => ({ step, done: false, tries: 0 }));
    for (const attempt of open) this.#end(attempt, "internal", undos, nowMs, true);
    return open.length;
  }

  pendingUndos(): { orderId: string; attempt: number; amount: number; step: string; tries: number }[] {
    return this.attempts.flatMap(({ orderId, attempt, amount, undos }) =>
      undos.filter(({ done }) => !done).map(({ step, tries }) => ({ orderId, attempt, amount, step, tries })),
    );
  }

  undoTried(orderId: string, number: number, step: string, done: boolean): void {
    const attempt = this.#one(orderId, number);
    const task = attempt.undos.find((undo) => undo.step === step);
    if (task === undefined || task.done) return;
    task.tries++;
    task.done = done;
    if (attempt.undos.every((undo) => undo.done)) this.#tell("order.compensated", attempt);
  }

  expireKeys(nowMs: number): number {
    const expired = [...this.#keys].filter(([, { expiresMs }]) => expiresMs <= nowMs);
    for (const [name] of expired) this.#keys.delete(name);
    return expired.length;
  }

  find(orderId: string): OrderRecord | undefined {
    const attempts = this.#of(orderId);
    const latest = attempts.at(-1);
    return latest && { orderId, amount: latest.amount, attempts: attempts.map(recordOf) };
  }

  #stateOf({ orderId, attempt, ended }: Attempt): AcceptResult {
    if (ended === undefined) return { type: "running", orderId, attempt };
    return { type: "replayed", answer: ended.interrupted ? interruptedAnswer(orderId) : answerTo(orderId, ended.error) };
  }

  #end(attempt: Attempt, error: ErrorKind | undefined, undos: readonly UndoState[], atMs: number, interrupted: boolean): void {
    attempt.ended = { atMs, error, interrupted };
    attempt.undos = undos.map((undo) => ({ ...undo }));
    this.#tell(error === undefined ? "order.placed" : "order.failed", attempt);
    if (undos.length > 0 && undos.every(({ done }) => done)) this.#tell("order.compensated", attempt);
  }

  #tell(type: string, { orderId, attempt }: Attempt): void {
    this.events.push([type, orderId, attempt]);
  }

  #add(orderId: string, attempt: number, amount: number, acceptedMs: number): Attempt {
    const added: Attempt = { orderId, attempt, amount, acceptedMs, ended: undefined, undos: [] };
    this.attempts.push(added);
    return added;
  }

  #of(orderId: string): Attempt[] {
    return this.attempts.filter((attempt) => attempt.orderId === orderId);
  }

  #one(orderId: string, number: number): Attempt {
    const attempt = this.#of(orderId).find((candidate) => candidate.attempt === number);
    if (attempt === undefined) throw new Error("the test asks for an attempt that is not there");
    return attempt;
  }
}

function recordOf({ orderId, attempt, amount, acceptedMs, ended, undos }: Attempt): AttemptRecord {
  const record = { attempt, amount, acceptedMs, undos: undos.map((undo) => ({ ...undo })) };
  if (ended === undefined) return record;
  const { json } = ended.interrupted ? interruptedAnswer(orderId) : answerTo(orderId, ended.error);
  return { ...record, ended: { atMs: ended.atMs, answer: JSON.parse(json), interrupted: ended.interrupted } };
}

function interruptedAnswer(orderId: string) {
  const steps = ["payment", "vendor", "courier"].map((name) => ({ name, status: "error", duration_ms: 0, detail: "internal" }));
  const body = { status: "error", order_id: orderId, steps, error: { kind: "internal", message: "order failed" } };
  return { error: "internal" as const, json: JSON.stringify(body) };
}
