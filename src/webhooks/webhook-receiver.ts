import type { KeyObject } from "node:crypto";
import type { OrderEvent } from "../orders/order-event.ts";
import { type CallEnd, EndpointHealth, type Lane } from "../resilience/endpoint-health.ts";
import type { Post } from "../resilience/post.ts";
import { CancelScope, type Clock } from "../threads/index.ts";
import { type PostResult, postEvent } from "./post-event.ts";

/** What delivery needs of a logger; pino's fits. */
export interface DeliveryLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface WebhookReceiverOptions {
  /** Absolute, http or https, without user and password. */
  readonly url: string;
  /** Every one of them signs every delivery. */
  readonly secrets: readonly KeyObject[];
  readonly post: Post;
  readonly log: DeliveryLog;
  readonly clock: Clock;
  /** Requests at one time. */
  readonly maxRequests: number;
  /** 0 to 1, for the jitter of pauses. */
  readonly random?: () => number;
}

// Enough for 160 events a second to a receiver 100 ms away, few enough for a small receiver.
export const MAX_REQUESTS = 16;
// The lower end of what Standard Webhooks recommends: a receiver should store the event and work later.
const REQUEST_TIMEOUT_MS = 15_000;

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
    const result = await postEvent(event, this.#options, scope, clock.nowMs(), mayBegin);
    stopTimer();
    linked.unsubscribe();
    this.lane.end(call, callEnd(result, event.tries));
    return result;
  }

  #noteDown(down: boolean): void {
    const { log } = this.#options;
    const fields = { receiver: this.origin };
    if (down) log.warn(fields, "the webhook receiver is down: probing it with one request at a time");
    else log.info(fields, "the webhook receiver is up again");
  }
}

/** What a try says of the receiver. `tries`: failed ones of that event before it. */
function callEnd(result: PostResult, tries: number): CallEnd {
  if (result.type === "delivered") return "ok";
  if (result.type !== "failed") return undefined;
  const { kind, retryAfterMs = 0 } = result;
  const overloaded = kind === "overloaded";
  const how = kind === "silent" || kind === "unconnected" ? kind : "answered";
  return { again: tries > 0, how, overloaded, retryAfterMs: overloaded ? retryAfterMs : 0 };
}
