import type { KeyObject } from "node:crypto";
import type { Logger } from "pino";
import type { OrderEvent } from "../orders/order-event.ts";
import { type CallFailure, EndpointHealth, type Lane } from "../resilience/endpoint-health.ts";
import { NotBegun, neverSent, type Post, type PostAnswer, postTo } from "../resilience/post.ts";
import { retryAfterMs } from "../resilience/retry-after.ts";
import { CancelScope, type Clock } from "../threads/index.ts";
import { signatureHeaders } from "./sign.ts";

export type PostResult =
  | { readonly type: "delivered" }
  /** 410: the receiver wants no more events at all. */
  | { readonly type: "gone" }
  | PostFailure
  /** Whether the receiver has the event is unknown, for a stop cut the call off; or the call was not to begin any more. */
  | { readonly type: "aborted" };

export interface PostFailure extends Pick<CallFailure, "how" | "overloaded"> {
  readonly type: "failed";
  /** One line for logs and dead letters. */
  readonly reason: string;
  readonly retryAfterMs?: number | undefined;
}

export interface WebhookReceiverOptions {
  /** Absolute, http or https, without user and password. */
  readonly url: string;
  /** Every one of them signs every delivery. */
  readonly secrets: readonly KeyObject[];
  readonly post: Post;
  readonly log: Pick<Logger, "debug" | "info" | "warn" | "error">;
  readonly clock: Clock;
  readonly maxRequests: number;
  /** 0 to 1, for the jitter of pauses. */
  readonly random?: () => number;
}

// Enough for 160 events per second to a receiver 100 ms away, few enough for a small receiver.
export const MAX_REQUESTS = 16;
// The lower end of what Standard Webhooks recommends: a receiver should store the event and work later.
const REQUEST_TIMEOUT_MS = 15_000;
const OVERLOADED = new Set([429, 502, 503, 504]);
// Up to this a body costs less than a new connection. No time limit but that of the try: a receiver may answer first and work afterwards,
// and a closed connection would abort its work.
const BODY_LIMITS = { maxBytes: 16_384 };
const MAX_REASON_CHARS = 200;

/** How to POST to a receiver's `url`, absolute, http or https. */
export function postToReceiver(url: string): Post {
  return postTo(new URL(url), BODY_LIMITS);
}

/** The receiver of the order events: signs and sends one event at a time, and learns from the answers whether it is up. Main thread only. */
export class WebhookReceiver {
  /** For logs: the rest of the URL may hold a token. */
  readonly origin: string;
  readonly lane: Lane;
  readonly #options: WebhookReceiverOptions;

  constructor(options: WebhookReceiverOptions) {
    const { url, clock, maxRequests, random = Math.random } = options;
    this.#options = options;
    this.origin = new URL(url).origin;
    const health = new EndpointHealth({ maxInFlight: maxRequests, clock, random, onDown: (down) => this.#noteDown(down) });
    this.lane = health.lane(maxRequests, "again");
  }

  /** Sends an event once. Resolves with how that ended: `aborted` once `stop` is canceled, or where it may not begin. Never rejects. */
  async send(event: OrderEvent, stop: CancelScope, mayBegin: () => boolean): Promise<PostResult> {
    const { clock } = this.#options;
    const call = this.lane.begin();
    const scope = new CancelScope();
    const linked = scope.link(stop);
    const stopTimer = clock.after(REQUEST_TIMEOUT_MS, () => void scope.cancel("deadline"));
    const result = await this.#post(event, scope, mayBegin);
    stopTimer();
    linked.unsubscribe();
    if (result.type === "delivered") this.lane.end(call, "ok");
    else if (result.type !== "failed") this.lane.end(call, undefined);
    else {
      const { how, overloaded, retryAfterMs = 0 } = result;
      this.lane.end(call, { again: event.tries > 0, how, overloaded, retryAfterMs: overloaded ? retryAfterMs : 0 });
    }
    return result;
  }

  async #post(event: OrderEvent, scope: CancelScope, mayBegin: () => boolean): Promise<PostResult> {
    const { secrets, post, clock } = this.#options;
    const nowMs = clock.nowMs();
    let answer: PostAnswer;
    try {
      const body = Buffer.from(event.payload);
      const signed = signatureHeaders(event.id, body, secrets, nowMs);
      const headers = { "content-type": "application/json", "user-agent": "order-pipeline", ...signed };
      answer = await post({ headers, body, cancelable: scope, mayBegin });
    } catch (error) {
      if (scope.cause === "deadline") return { type: "failed", how: "silent", overloaded: false, reason: "no answer in time" };
      if (scope.cause !== undefined || error instanceof NotBegun) return { type: "aborted" };
      return { type: "failed", how: neverSent(error) ? "unconnected" : "silent", overloaded: false, reason: connectionFault(error) };
    }
    const { status, retryAfter } = answer;
    // The status alone decides, even when the connection breaks after it.
    if (status >= 200 && status < 300) return { type: "delivered" };
    if (status === 410) return { type: "gone" };
    const overloaded = OVERLOADED.has(status);
    return { type: "failed", how: "answered", overloaded, reason: `HTTP ${status}`, retryAfterMs: retryAfterMs(retryAfter, nowMs) };
  }

  #noteDown(down: boolean): void {
    const { log } = this.#options;
    const fields = { receiver: this.origin };
    if (down) log.warn(fields, "the webhook receiver is down: probing it with one request at a time");
    else log.info(fields, "the webhook receiver is up again");
  }
}

function connectionFault(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const text = typeof code === "string" ? code : String(message ?? error);
  return text.replace(/\s+/g, " ").slice(0, MAX_REASON_CHARS);
}
