import type { KeyObject } from "node:crypto";
import type { CancelScope } from "../concurrency/cancel-scope.ts";
import type { OrderEvent } from "../orders/order-event.ts";
import { retryAfterMs } from "./retry-after.ts";
import { signatureHeaders } from "./sign.ts";

/** How one try ended. */
export type PostResult =
  | { readonly type: "delivered" }
  /** 410: the receiver wants no more events at all. */
  | { readonly type: "gone" }
  | PostFailure
  /** The scope was canceled for another cause than its deadline; whether the receiver has the event is unknown. */
  | { readonly type: "aborted" };

export interface PostFailure {
  readonly type: "failed";
  /** One line for logs and dead letters. */
  readonly reason: string;
  /** What failed: `refused` may be about this one event; `overloaded` (429, 502, 503, 504) and `unreachable` are about the receiver. */
  readonly kind: "refused" | "overloaded" | "unreachable";
  readonly retryAfterMs?: number;
}

export interface PostTarget {
  readonly url: string;
  readonly secrets: readonly KeyObject[];
  readonly fetch: typeof fetch;
}

const OVERLOADED = new Set([429, 502, 503, 504]);
// Read to its end, a body leaves the connection usable for the next event; a longer one costs more than a new connection.
const MAX_BODY_BYTES = 16_384;
const MAX_REASON_CHARS = 200;

/** Sends an event once, signed for `nowMs`. Never rejects. A scope canceled with `deadline` is a failure. */
export async function postEvent(event: OrderEvent, target: PostTarget, scope: CancelScope, nowMs: number): Promise<PostResult> {
  let response: Response;
  try {
    const body = Buffer.from(event.payload);
    response = await target.fetch(target.url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "user-agent": "order-pipeline",
        ...signatureHeaders(event.id, body, target.secrets, nowMs),
      },
      body,
      // A redirect is a failure by the standard: followed, a signed body would go where nobody configured it to go.
      redirect: "manual",
      signal: scope.signal,
    });
  } catch (error) {
    if (scope.cause === "deadline") return { type: "failed", kind: "unreachable", reason: "no answer in time" };
    if (scope.cause !== undefined) return { type: "aborted" };
    return { type: "failed", kind: "unreachable", reason: connectionFault(error) };
  }
  await drain(response);
  // The status alone decides: a receiver that breaks off after it said 2xx has said it.
  if (response.ok) return { type: "delivered" };
  if (response.status === 410) return { type: "gone" };
  const wait = retryAfterMs(response.headers.get("retry-after"), nowMs);
  return {
    type: "failed",
    kind: OVERLOADED.has(response.status) ? "overloaded" : "refused",
    reason: `HTTP ${response.status}`,
    ...(wait === undefined ? {} : { retryAfterMs: wait }),
  };
}

async function drain(response: Response): Promise<void> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  try {
    let bytes = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      bytes += value.byteLength;
      if (bytes > MAX_BODY_BYTES) return await reader.cancel();
    }
  } catch {
    // Broken off, by the receiver or by the scope: nothing of the body is needed.
  }
}

function connectionFault(error: unknown): string {
  // `fetch` says "fetch failed" and keeps what happened in `cause`.
  const fault = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const { code, message } = fault as { code?: unknown; message?: unknown };
  const text = typeof code === "string" ? code : String(message ?? fault);
  return text.replace(/\s+/g, " ").slice(0, MAX_REASON_CHARS);
}
