import type { KeyObject } from "node:crypto";
import type { OrderEvent } from "../orders/order-event.ts";
import { neverSent } from "../resilience/never-sent.ts";
import { NotBegun, type Post, type PostAnswer, postTo } from "../resilience/post.ts";
import { retryAfterMs } from "../resilience/retry-after.ts";
import type { CancelScope } from "../threads/index.ts";
import { signatureHeaders } from "./sign.ts";

/** How one try ended. */
export type PostResult =
  | { readonly type: "delivered" }
  /** 410: the receiver wants no more events at all. */
  | { readonly type: "gone" }
  | PostFailure
  /** The scope was canceled for another cause than its deadline, and whether the receiver has the event is unknown; or it was not to begin any more. */
  | { readonly type: "aborted" };

export interface PostFailure {
  readonly type: "failed";
  /** One line for logs and dead letters. */
  readonly reason: string;
  /** `overloaded`: 429, 502, 503, 504; `refused`: any other answer; `silent`: none came; `unconnected`: no connection came about. */
  readonly kind: "refused" | "overloaded" | "silent" | "unconnected";
  readonly retryAfterMs?: number;
}

export interface PostTarget {
  readonly secrets: readonly KeyObject[];
  readonly post: Post;
}

const OVERLOADED = new Set([429, 502, 503, 504]);
// A body that is read to its end leaves the connection usable. Reading a longer one costs more than a new connection. There is no time limit
// but that of the try: a receiver may answer first and work afterwards, and a closed connection would abort its work.
const BODY_LIMITS = { maxBytes: 16_384 };
const MAX_REASON_CHARS = 200;

/** How to POST to a receiver's `url`, absolute, http or https. */
export function postToReceiver(url: string): Post {
  return postTo(new URL(url), BODY_LIMITS);
}

/** Sends an event once, signed for `nowMs`. Never rejects. A scope canceled with `deadline` is a failure. `mayBegin`: see `PostRequest`. */
export async function postEvent(
  event: OrderEvent,
  target: PostTarget,
  scope: CancelScope,
  nowMs: number,
  mayBegin: () => boolean = () => true,
): Promise<PostResult> {
  let answer: PostAnswer;
  try {
    const body = Buffer.from(event.payload);
    const headers = {
      "content-type": "application/json",
      "user-agent": "order-pipeline",
      ...signatureHeaders(event.id, body, target.secrets, nowMs),
    };
    answer = await target.post({ headers, body, cancelable: scope, mayBegin });
  } catch (error) {
    if (scope.cause === "deadline") return { type: "failed", kind: "silent", reason: "no answer in time" };
    if (scope.cause !== undefined || error instanceof NotBegun) return { type: "aborted" };
    return { type: "failed", kind: neverSent(error) ? "unconnected" : "silent", reason: connectionFault(error) };
  }
  const { status, retryAfter } = answer;
  // The status alone decides, even when the connection breaks after it.
  if (status >= 200 && status < 300) return { type: "delivered" };
  if (status === 410) return { type: "gone" };
  const wait = retryAfterMs(retryAfter, nowMs);
  return {
    type: "failed",
    kind: OVERLOADED.has(status) ? "overloaded" : "refused",
    reason: `HTTP ${status}`,
    ...(wait === undefined ? {} : { retryAfterMs: wait }),
  };
}

function connectionFault(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const text = typeof code === "string" ? code : String(message ?? error);
  return text.replace(/\s+/g, " ").slice(0, MAX_REASON_CHARS);
}
