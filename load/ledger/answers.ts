import type { KnownOrder } from "./known-order.ts";

/** A request for an order. `sentMs`: when it was sent, on the campaign's clock. */
export interface Asked {
  readonly amount: number;
  readonly key?: string;
  readonly sentMs: number;
}

export interface Answered {
  readonly status: number;
  readonly text: string;
  /** `Idempotent-Replayed`. */
  readonly replayed: boolean;
  readonly atMs: number;
}

/** How an attempt ended, as an answer and `GET /order/{order_id}` both show it. */
export interface Ending {
  readonly status?: string;
  readonly steps?: readonly { readonly name: string; readonly status: string; readonly duration_ms: number; readonly detail?: string }[];
  readonly error?: { readonly kind?: string };
}

type Body = Ending & { readonly order_id?: string };

/** As text, to be compared. Without the compensations, which go on after the answer. */
export function endingOf({ status, steps = [], error }: Ending): string {
  const parts = steps.map(({ name, status: how, duration_ms, detail }) => `${name} ${detail ?? how} after ${duration_ms} ms`);
  return [error?.kind ?? status, ...parts].join(", ");
}

/** To be called before a request is sent: from now on its body may hold the key and the id. */
export function noteAsked(order: KnownOrder, { amount, key, sentMs }: Asked): void {
  order.requests++;
  order.amounts.add(amount);
  if (key !== undefined) order.key(key).amounts.add(amount);
  order.lastMs = Math.max(order.lastMs, sentMs);
}

/**
 * Compares an answer with what clients got before, and keeps it where it binds. Returns what is wrong with it. An answer without steps
 * refuses the request; it may come at any time, but 409 and 422 need a reason.
 */
export function noteAnswer(order: KnownOrder, asked: Asked, answered: Answered): string | undefined {
  const { status, text, replayed, atMs } = answered;
  const body = bodyOf(text);
  if (body === undefined) return `the answer is no JSON: ${status} ${text}`;
  if (body.steps === undefined) order.refused++;
  const key = asked.key === undefined ? undefined : order.key(asked.key);
  if (status === 422) {
    if (key === undefined || key.amounts.size < 2) return "422, and the key was used with one body only";
    return key.kept?.amount === asked.amount ? "422, and the key holds the answer to this very body" : undefined;
  }
  if (status === 409) {
    // What a restore holds of an order keeps its id from new attempts.
    if (asked.sentMs <= order.heldUntilMs) return undefined;
    if (order.amounts.size < 2) return "409, and the id was used with one amount only";
    return order.placed?.amount === asked.amount ? "409, and the order is placed with this very amount" : undefined;
  }
  if (body.steps === undefined) return undefined;
  if (body.order_id !== order.id) return `the answer is that of ${body.order_id}`;
  // Such an attempt was canceled from outside, so its answer holds nothing.
  if (body.error?.kind === "canceled") return undefined;
  order.told.add(endingOf(body));

  const kept = key?.kept;
  if (kept !== undefined) {
    if (kept.amount !== asked.amount) return `the key holds the answer to another body, so 422 was due`;
    return kept.text === text && kept.status === status ? undefined : `the key had another answer: ${kept.status} ${kept.text}`;
  }
  const { placed } = order;
  if (placed !== undefined && status === 200 && placed.text !== text) return `it was placed with another answer: ${placed.text}`;
  if (placed !== undefined && status === 200 && placed.amount !== asked.amount) return "it is placed with another amount, so 409 was due";
  if (placed !== undefined && placed.atMs <= asked.sentMs) {
    // A key may hold the answer of an earlier attempt that its client never received, whatever amount is placed since.
    const isOfEarlier = status !== 200 && replayed && key !== undefined;
    if (placed.amount !== asked.amount && !isOfEarlier) return "it is placed with another amount, so 409 was due";
    if (status !== 200 && !isOfEarlier) return `it is placed: ${placed.text}`;
  }
  const answer = { status, text, amount: asked.amount, atMs };
  if (status === 200) order.placed ??= answer;
  if (key !== undefined) key.kept = answer;
  return undefined;
}

function bodyOf(text: string): Body | undefined {
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === "object" && body !== null ? body : undefined;
  } catch {
    return undefined;
  }
}
