import { type DatedRow, dueAmong, LONGEST_PAUSE_MS } from "./due-model.ts";
import { DAY_MS } from "./journal-fixture.ts";

/** An event that is not delivered, in the outbox or among the dead letters. `n`: not the journal's number, but in the same order. */
export interface Event extends DatedRow {
  readonly type: string;
  readonly orderId: string;
  readonly attempt: number;
  expiresMs: number;
  tries: number;
  /** When it is due as soon as nothing of its order is before it. */
  nextTryMs: number;
  givenUpMs?: number;
}

/** What an outbox should do, written the obvious way. */
export class OutboxModel {
  /** In the order in which they are to be delivered. */
  events: Event[] = [];
  /** In the order in which they were written. */
  deadLetters: Event[] = [];
  #last = 0;

  write(type: string, { orderId, attempt }: { orderId: string; attempt: number }, nowMs: number): void {
    this.events.push({ n: this.#last++, type, orderId, attempt, tries: 0, nextTryMs: nowMs, expiresMs: nowMs + DAY_MS });
  }

  /** The first event of each order. */
  heads(): Event[] {
    return [...Map.groupBy(this.events, ({ orderId }) => orderId).values()].flatMap(([head]) => head ?? []);
  }

  due(nowMs: number, limit: number, leastTried: boolean, underWay: readonly Event[]): { items: Event[]; nextDueMs?: number } {
    const { items, ...next } = dueAmong(this.heads(), { nowMs, limit: Number.POSITIVE_INFINITY, leastTried }, LONGEST_PAUSE_MS.event);
    return { items: items.filter((event) => !underWay.includes(event)).slice(0, limit), ...next };
  }

  delivered(event: Event, nowMs: number): void {
    if (!this.events.includes(event)) return;
    const isHead = this.heads().includes(event);
    this.events = this.events.filter((other) => other !== event);
    const next = this.events.find(({ orderId }) => orderId === event.orderId);
    if (isHead && next !== undefined) next.nextTryMs = nowMs;
  }

  failed(event: Event, nextTryMs: number): void {
    if (!this.events.includes(event)) return;
    event.tries++;
    event.nextTryMs = nextTryMs;
  }

  giveUp(event: Event, nowMs: number): void {
    if (!this.events.includes(event)) return;
    this.delivered(event, nowMs);
    event.givenUpMs = nowMs;
    this.deadLetters.push(event);
    this.deadLetters.sort((one, other) => one.n - other.n);
  }

  giveUpExpired(expiredMs: number, nowMs: number, limit: number): number {
    const expired = this.events.slice(0, limit).filter(({ expiresMs }) => expiresMs <= expiredMs);
    for (const event of expired) this.giveUp(event, nowMs);
    return expired.length;
  }

  redeliver(event: Event, nowMs: number): boolean {
    if (!this.deadLetters.includes(event)) return false;
    this.deadLetters = this.deadLetters.filter((other) => other !== event);
    this.write(event.type, event, nowMs);
    return true;
  }

  expireDeadLetters(beforeMs: number, limit: number): number {
    // Those that were given up first, which need not be the events that came first.
    const expired = this.deadLetters
      .filter(({ givenUpMs = 0 }) => givenUpMs < beforeMs)
      .sort((one, other) => (one.givenUpMs ?? 0) - (other.givenUpMs ?? 0) || one.n - other.n)
      .slice(0, limit);
    this.deadLetters = this.deadLetters.filter((letter) => !expired.includes(letter));
    return expired.length;
  }
}
