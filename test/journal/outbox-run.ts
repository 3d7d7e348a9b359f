import { expect } from "vitest";
import type { RowId } from "../../src/orders/operator-journal.ts";
import type { OrderEvent } from "../../src/orders/order-event.ts";
import { type Comparison, equal, pick } from "./comparison.ts";
import { FAR, type JournalFixture } from "./journal-fixture.ts";
import type { EventRequest } from "./journal-requests.ts";
import type { Event, OutboxModel } from "./outbox-model.ts";

const MANY = 100_000;

/** The events of one run: the model, and what the journal calls the things in it at the beginning of a turn. */
export class OutboxRun {
  readonly #at: JournalFixture;
  readonly #model: OutboxModel;
  readonly #count: (what: string) => void;
  #events: { event: Event; seq: number }[] = [];
  #letters: { event: Event; seq: RowId }[] = [];

  constructor(at: JournalFixture, model: OutboxModel, count: (what: string) => void) {
    this.#at = at;
    this.#model = model;
    this.#count = count;
  }

  async compare(nowMs: number): Promise<void> {
    const model = this.#model;
    const { journal } = this.#at;
    const due = await this.#at.dueEvents(nowMs, MANY);
    const expected = model.due(nowMs, MANY, false, []);
    expect({ ...due, items: due.items.map(described) }).toEqual({ ...expected, items: expected.items.map(toldOf) });

    const heads = model.heads();
    const waiting = await this.#at.dueEvents(FAR, MANY);
    expect(waiting.items).toHaveLength(heads.length);
    this.#events = waiting.items.map(({ seq, orderId }) => {
      const event = heads.find((head) => head.orderId === orderId);
      if (event === undefined) throw new Error(`${orderId}: no event in the model`);
      return { event, seq };
    });
    const letters = (await journal.deadLetters(undefined, 500)).items;
    expect(letters.map(({ payload, givenUpMs }) => [nameOf(payload), givenUpMs])).toEqual(
      model.deadLetters.map(({ type, orderId, attempt, givenUpMs }) => [`${type} ${orderId} ${attempt}`, givenUpMs]),
    );
    this.#letters = letters.flatMap(({ seq }, index) => {
      const event = model.deadLetters[index];
      return event === undefined ? [] : [{ event, seq }];
    });
    expect(await journal.backlog()).toMatchObject({ events: { count: model.events.length }, deadLetters: model.deadLetters.length });
  }

  /** Sends a request. Undefined where there is nothing to send. */
  send(request: EventRequest, nowMs: number): Comparison | undefined {
    const model = this.#model;
    const { journal } = this.#at;
    switch (request.type) {
      case "takeEvents": {
        const { limit, leastTried, which } = request;
        const underWay = this.#events.filter((_, index) => (which >> index) % 2 === 1);
        const taken = journal.takeEvents({ nowMs, limit, leastTried, underWay: underWay.map(({ seq }) => seq) });
        const { items, nextDueMs } = model.due(
          nowMs,
          limit,
          leastTried,
          underWay.map(({ event }) => event),
        );
        const expected = items.map(toldOf);
        if (expected.length > 0) this.#count("events taken");
        return async () => {
          const page = await taken;
          expect(page.items.map(described)).toEqual(expected);
          if (page.items.length < limit) expect(page.nextDueMs).toBe(nextDueMs);
        };
      }
      case "giveUpExpired": {
        const expected = model.giveUpExpired(nowMs, nowMs, request.limit);
        if (expected > 0) this.#count("expired");
        return equal(journal.giveUpExpired(nowMs, "24 h", nowMs, request.limit), expected);
      }
      case "redeliver": {
        const chosen = pick(this.#letters, request.which);
        if (chosen === undefined) return undefined;
        this.#count("redeliver");
        return equal(journal.redeliver(chosen.seq, nowMs, "me"), model.redeliver(chosen.event, nowMs));
      }
      case "expireDeadLetters": {
        const expected = model.expireDeadLetters(nowMs, request.limit);
        return equal(journal.expireDeadLetters(nowMs, request.limit), expected);
      }
      default:
        return this.#ofOne(request, nowMs);
    }
  }

  #ofOne(
    request: Extract<EventRequest, { type: "eventDelivered" | "eventFailed" | "giveUpEvent" }>,
    nowMs: number,
  ): Comparison | undefined {
    const { journal } = this.#at;
    const chosen = pick(this.#events, request.which);
    if (chosen === undefined) return undefined;
    const { event, seq } = chosen;
    this.#count(request.type);
    switch (request.type) {
      case "eventDelivered":
        this.#model.delivered(event, nowMs);
        return equal(journal.eventDelivered(seq, nowMs));
      case "giveUpEvent":
        this.#model.giveUp(event, nowMs);
        return equal(journal.giveUpEvent(seq, "410", nowMs));
      case "eventFailed":
        this.#model.failed(event, nowMs + request.laterMs);
        return equal(journal.eventFailed(seq, nowMs + request.laterMs));
    }
  }
}

function nameOf(payload: string): string {
  const { type, data } = JSON.parse(payload);
  return `${type} ${data.order_id} ${data.attempt}`;
}

const described = ({ payload, tries, expiresMs }: OrderEvent) => `${nameOf(payload)} ${tries} ${expiresMs}`;
const toldOf = ({ type, orderId, attempt, tries, expiresMs }: Event) => `${type} ${orderId} ${attempt} ${tries} ${expiresMs}`;
