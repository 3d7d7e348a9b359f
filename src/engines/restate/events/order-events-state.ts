import { EVENT_KEPT_MS, eventPayload } from "../../../orders/event-payload.ts";
import type { DeadLetter } from "../../../orders/operator-journal.ts";
import { backoffMs, EVENT_BACKOFF } from "../../../retries/backoff.ts";
import type { EventAdded } from "../objects.ts";

/** Keys of the object's state. The queue exists only while an event waits; each dead letter has a key of its own. */
export const QUEUE = "queue";
export const DEAD = "dead:";

/** Stored, so the version before must be able to read a changed form. Times are wall clock. */
export interface WaitingEvent {
  /** `webhook-id`. */
  readonly id: string;
  readonly payload: string;
  readonly createdMs: number;
  /** Since when it waits: later than `createdMs` where an operator redelivers it. */
  readonly sinceMs: number;
  /** Failed tries. */
  readonly tries: number;
  /** Turns without a request, because the receiver was known to be down or disabled. They count for the backoff like tries. */
  readonly held: number;
}

export interface EventQueue {
  /** Counts the scheduled deliveries: a delivery with an older number is obsolete. */
  readonly turn: number;
  /** In delivery order; never empty. */
  readonly events: readonly WaitingEvent[];
}

/** A dead letter as it is stored. */
export type BuriedEvent = Pick<DeadLetter, "id" | "payload" | "createdMs" | "givenUpMs" | "reason">;

export function waitingEvent(id: string, { type, orderId, amount, attempt, error, atMs }: EventAdded): WaitingEvent {
  const payload = eventPayload(type, orderId, amount, attempt, error ?? null, atMs);
  return { id, payload, createdMs: atMs, sinceMs: atMs, tries: 0, held: 0 };
}

export function expiresMs({ sinceMs }: WaitingEvent): number {
  return sinceMs + EVENT_KEPT_MS;
}

/** Pause before the next turn, milliseconds. `random` gives 0 to 1. */
export function pauseMs({ tries, held }: WaitingEvent, retryAfterMs: number, random: () => number): number {
  return Math.max(retryAfterMs, backoffMs(tries + held, EVENT_BACKOFF, random));
}

export function buried({ id, payload, createdMs }: WaitingEvent, reason: string, givenUpMs: number): BuriedEvent {
  return { id, payload, createdMs, givenUpMs, reason };
}

/** Id of a dead letter for operators: its order's id in characters that a path can hold, and the event's id. */
export function deadLetterId(orderId: string, eventId: string): string {
  return `${Buffer.from(orderId).toString("base64url")}.${eventId}`;
}

/** Undefined where it is not the id of a dead letter. */
export function readDeadLetterId(id: string): { readonly orderId: string; readonly eventId: string } | undefined {
  const [encoded = "", eventId = "", ...rest] = id.split(".");
  const orderId = Buffer.from(encoded, "base64url").toString("utf8");
  if (rest.length > 0 || orderId === "" || !/^evt_[0-9a-f-]{36}$/.test(eventId)) return undefined;
  return deadLetterId(orderId, eventId) === id ? { orderId, eventId } : undefined;
}
