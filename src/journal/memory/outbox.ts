import type { DeadLetter } from "../../orders/operator-journal.ts";
import type { OrderEvent } from "../../orders/order-event.ts";
import type { DuePage } from "../../resilience/retry-queue.ts";
import { duePage, longestEventPauseMs } from "../rules/due.ts";
import { EVENT_KEPT_MS, newEvent } from "../rules/event-payload.ts";
import type { OutboxTable } from "../rules/tables.ts";

interface OutboxRow {
  readonly event: Omit<OrderEvent, "tries">;
  /** Its `seq`, as `duePage` names it. Not `event.id`, which receivers see. */
  readonly id: number;
  tries: number;
  /** Null of one that waits for an earlier event of its order. */
  nextTryMs: number | null;
}

/** Events that wait for their delivery, and those that were given up. Only the first event of each order has a next try. */
export class MemoryOutbox implements OutboxTable {
  readonly isEnabled: boolean;
  readonly #events = new Map<number, OutboxRow>();
  readonly #byOrder = new Map<string, OutboxRow[]>();
  readonly deadLetters = new Map<number, DeadLetter>();
  #lastSeq = 0;

  constructor(enabled: boolean) {
    this.isEnabled = enabled;
  }

  add(...event: Parameters<OutboxTable["add"]>): void {
    if (!this.isEnabled) return;
    const { id, orderId, payload, createdMs } = newEvent(...event);
    this.#put(id, orderId, payload, createdMs, createdMs);
  }

  due(nowMs: number, limit: number, leastTried: boolean, except: readonly number[]): DuePage<OrderEvent> {
    const waiting = this.#events.values().filter(({ id }) => !except.includes(id));
    const { items, ...next } = duePage(waiting, nowMs, limit, leastTried, longestEventPauseMs);
    return { items: items.map(({ event, tries }) => ({ ...event, tries })), ...next };
  }

  failed(seq: number, nextTryMs: number): void {
    const found = this.#events.get(seq);
    if (found === undefined || found.nextTryMs === null) return;
    found.tries++;
    found.nextTryMs = nextTryMs;
  }

  remove(seq: number, nowMs: number): void {
    const found = this.#events.get(seq);
    if (found === undefined) return;
    this.#events.delete(seq);
    const { orderId } = found.event;
    const left = (this.#byOrder.get(orderId) ?? []).filter((one) => one !== found);
    if (left[0] === undefined) this.#byOrder.delete(orderId);
    else {
      this.#byOrder.set(orderId, left);
      left[0].nextTryMs ??= nowMs;
    }
  }

  giveUp(seq: number, reason: string, nowMs: number): void {
    const found = this.#events.get(seq);
    if (found === undefined) return;
    const { id, orderId, payload, createdMs } = found.event;
    this.deadLetters.set(seq, { seq, id, orderId, payload, createdMs, givenUpMs: nowMs, reason });
    this.remove(seq, nowMs);
  }

  oldest(limit: number): [seq: number, expiresMs: number][] {
    return Array.from(this.#events.values().take(limit), ({ event }) => [event.seq, event.expiresMs]);
  }

  redeliver(seq: number, nowMs: number): string | undefined {
    const letter = this.deadLetters.get(seq);
    if (letter === undefined) return undefined;
    this.#put(letter.id, letter.orderId, letter.payload, letter.createdMs, nowMs);
    this.deadLetters.delete(seq);
    return letter.orderId;
  }

  expireDeadLetters(givenUpBeforeMs: number, limit: number): number {
    const old = this.deadLetters.values().filter(({ givenUpMs }) => givenUpMs < givenUpBeforeMs);
    const gone = old.take(limit).toArray();
    for (const { seq } of gone) this.deadLetters.delete(seq);
    return gone.length;
  }

  /** How many wait, and since when the oldest. */
  get waiting(): { readonly count: number; readonly sinceMs?: number } {
    const [oldest] = this.#events.values();
    return oldest === undefined ? { count: 0 } : { count: this.#events.size, sinceMs: oldest.event.expiresMs - EVENT_KEPT_MS };
  }

  #put(id: string, orderId: string, payload: string, createdMs: number, nowMs: number): void {
    const seq = ++this.#lastSeq;
    const before = this.#byOrder.get(orderId);
    const event = { seq, id, orderId, payload, createdMs, expiresMs: nowMs + EVENT_KEPT_MS };
    const row: OutboxRow = { event, id: seq, tries: 0, nextTryMs: before === undefined ? nowMs : null };
    this.#events.set(seq, row);
    if (before === undefined) this.#byOrder.set(orderId, [row]);
    else before.push(row);
  }
}
