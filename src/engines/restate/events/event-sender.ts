import type { KeyObject } from "node:crypto";
import { CancelScope, Capacity, SYSTEM_CLOCK } from "../../../threads/index.ts";
import { type PostResult, postToReceiver } from "../../../webhooks/post-event.ts";
import { type DeliveryLog, MAX_REQUESTS, WebhookReceiver } from "../../../webhooks/webhook-receiver.ts";
import { acquireWithin } from "../bulkhead.ts";
import { NodeStops } from "../durable-options.ts";
import { expiresMs, type WaitingEvent } from "./order-events-state.ts";

export interface EventSenderOptions {
  /** Absolute, http or https, without user and password. */
  readonly url: string;
  /** Every one of them signs every delivery. */
  readonly secrets: readonly KeyObject[];
  readonly log: DeliveryLog;
  /** Asks the engine whether the receiver has answered 410 to any node since the last resume. */
  readonly isDisabled: () => Promise<boolean>;
  /** Stores a 410 in the engine, for all nodes. */
  readonly disable: () => Promise<void>;
  /** The receiver takes events again after it did not. */
  readonly onUp: () => void;
}

/** How a turn of an event ended. */
export type Sent =
  | { readonly type: "delivered" }
  | { readonly type: "failed"; readonly retryAfterMs: number }
  /** It was not sent: the receiver is down, or the bulkhead is full. */
  | { readonly type: "held" }
  /** The receiver has answered 410: it takes no events. */
  | { readonly type: "disabled" }
  /** Its 24 hours are over. */
  | { readonly type: "dead"; readonly reason: string };

// Long enough for a burst, short beside the pause that follows.
const BULKHEAD_WAIT_MS = 500;

/**
 * The requests of this node to the receiver: signs them, bounds their number, and knows when the receiver is down. There is no queue,
 * because the engine keeps what waits. Main thread only.
 */
export class EventSender {
  readonly #options: EventSenderOptions;
  readonly #receiver: WebhookReceiver;
  readonly #bulkhead = new Capacity(MAX_REQUESTS);
  readonly #stop = new CancelScope();
  #disabled = false;
  /** How many 410s this node has received, and the call that stores the last one. */
  #gone = 0;
  #disabling: Promise<void> | undefined;

  constructor(options: EventSenderOptions) {
    this.#options = options;
    this.#receiver = new WebhookReceiver({ ...options, post: postToReceiver(options.url), clock: SYSTEM_CLOCK, maxRequests: MAX_REQUESTS });
  }

  /** As this node knows it. */
  state(): { readonly receiver: "up" | "down" | "disabled"; readonly inFlight: number } {
    return { receiver: this.#disabled ? "disabled" : this.#receiver.health.down ? "down" : "up", inFlight: this.#receiver.health.inFlight };
  }

  /** Asks the engine what all nodes know of the receiver. Rejects when the engine does not answer. */
  async refresh(): Promise<void> {
    await this.#disabling;
    const gone = this.#gone;
    const disabled = await this.#options.isDisabled();
    // An answer from before a 410 says nothing of the time after it.
    if (gone === this.#gone) this.#setDisabled(disabled);
  }

  #setDisabled(disabled: boolean): void {
    if (this.#disabled === disabled || this.#stop.cause !== undefined) return;
    this.#disabled = disabled;
    const { log } = this.#options;
    const fields = { receiver: this.#receiver.origin };
    if (disabled)
      log.error(fields, "the webhook receiver answered 410 Gone: nothing is delivered until a resume; events are kept for their 24 hours");
    else log.info(fields, "webhook delivery goes on");
  }

  /** One turn of the event that an order has to deliver next. Throws `NodeStops` after `stop`. */
  async send(orderId: string, event: WaitingEvent): Promise<Sent> {
    this.#throwIfStopped();
    // A resume may have been at another node.
    if (this.#disabled) await this.refresh();
    if (this.#disabled) return this.#unlessDead(event, "the receiver answered 410 Gone", { type: "disabled" });
    if (!this.#receiver.health.mayStart && this.#receiver.health.down) return this.#unlessDead(event, "receiver down", { type: "held" });
    using permit = await acquireWithin(this.#bulkhead, BULKHEAD_WAIT_MS);
    this.#throwIfStopped();
    if (permit === undefined || this.#disabled || !this.#receiver.health.mayStart) return { type: "held" };
    return await this.#outcomeOf(orderId, event, await this.#request(orderId, event));
  }

  /** Aborts the requests under way: another node sends them again. */
  stop(): void {
    this.#stop.cancel("shutdown");
    this.#receiver.health.close();
  }

  #request(orderId: string, { id, payload, createdMs, tries }: WaitingEvent): Promise<PostResult> {
    return this.#receiver.send({ seq: 0, id, orderId, payload, createdMs, expiresMs: 0, tries }, this.#stop);
  }

  async #outcomeOf(orderId: string, event: WaitingEvent, result: PostResult): Promise<Sent> {
    const { log } = this.#options;
    switch (result.type) {
      case "delivered":
        return { type: "delivered" };
      case "gone":
        this.#gone++;
        this.#setDisabled(true);
        this.#disabling ??= this.#options.disable().finally(() => {
          this.#disabling = undefined;
        });
        // Before the turn ends: this node may die, and then no node would know of the 410.
        await this.#disabling;
        return { type: "disabled" };
      case "aborted":
        throw new NodeStops();
      case "failed": {
        const fields = { order_id: orderId, event: event.id, reason: result.reason };
        const sent = this.#unlessDead(event, result.reason, { type: "failed", retryAfterMs: result.retryAfterMs ?? 0 });
        if (sent.type === "dead") log.error(fields, "an order event could not be delivered and is now a dead letter");
        else if (event.tries === 0) log.warn(fields, "an order event was not delivered and will be tried again");
        else log.debug({ ...fields, failures: event.tries + 1 }, "an order event was not delivered again");
        return sent;
      }
    }
  }

  #unlessDead(event: WaitingEvent, reason: string, sent: Sent): Sent {
    return SYSTEM_CLOCK.nowMs() >= expiresMs(event) ? { type: "dead", reason } : sent;
  }

  #throwIfStopped(): void {
    if (this.#stop.cause !== undefined) throw new NodeStops();
  }
}
