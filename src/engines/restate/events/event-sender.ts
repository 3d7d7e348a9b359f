import type { KeyObject } from "node:crypto";
import { Canceled } from "../../../concurrency/cancel-cause.ts";
import { CancelScope } from "../../../concurrency/cancel-scope.ts";
import { Capacity } from "../../../concurrency/capacity.ts";
import { type Clock, SYSTEM_CLOCK } from "../../../concurrency/clock.ts";
import type { Post } from "../../../outgoing/post.ts";
import { type PostResult, postToReceiver } from "../../../webhooks/post-event.ts";
import { type DeliveryLog, MAX_REQUESTS, WebhookReceiver } from "../../../webhooks/webhook-receiver.ts";
import { NodeStops } from "../compensation/compensation-calls.ts";
import { expiresMs, type WaitingEvent } from "./order-events-state.ts";

export interface EventSenderOptions {
  /** Absolute, http or https, without user and password. */
  readonly url: string;
  /** Every one of them signs every delivery. */
  readonly secrets: readonly KeyObject[];
  readonly log: DeliveryLog;
  /** What the cluster knows: whether the receiver has answered 410 to any node since the last resume. */
  readonly isDisabled: () => Promise<boolean>;
  /** Lets the cluster know of a 410. */
  readonly disable: () => Promise<void>;
  /** The receiver takes events again after it did not. */
  readonly onUp?: () => void;
  readonly post?: Post;
  readonly clock?: Clock;
  readonly maxRequests?: number;
}

/** How a turn of an event ended. */
export type Sent =
  | { readonly type: "delivered" }
  | { readonly type: "failed"; readonly retryAfterMs: number }
  /** It was not sent: the receiver is down, or there was no place. */
  | { readonly type: "held" }
  /** The receiver wants nothing at all. */
  | { readonly type: "disabled" }
  /** Its time is over. */
  | { readonly type: "dead"; readonly reason: string };

// Long enough for a burst, short beside the pause that follows.
const LINE_MS = 500;

/**
 * Delivers events to the receiver as far as this node does it: signs, keeps the number of requests in bounds, knows when the receiver is
 * down. Has no queue, for the engine keeps what waits. Main thread only.
 */
export class EventSender {
  readonly #options: EventSenderOptions & { readonly clock: Clock };
  readonly #receiver: WebhookReceiver;
  readonly #places: Capacity;
  readonly #stop = new CancelScope();
  #disabled = false;
  /** 410s that this node was answered with, and what lets the cluster know of the last one. */
  #gone = 0;
  #telling: Promise<void> | undefined;

  constructor(options: EventSenderOptions) {
    const { maxRequests = MAX_REQUESTS } = options;
    this.#options = { clock: SYSTEM_CLOCK, ...options };
    this.#receiver = new WebhookReceiver({ post: postToReceiver(options.url), ...this.#options, maxRequests });
    this.#places = new Capacity(maxRequests);
  }

  /** As this node knows it. */
  state(): { readonly receiver: "up" | "down" | "disabled"; readonly inFlight: number } {
    return { receiver: this.#disabled ? "disabled" : this.#receiver.health.down ? "down" : "up", inFlight: this.#receiver.health.inFlight };
  }

  /** Asks what the cluster knows of the receiver. Rejects when it cannot be asked. */
  async look(): Promise<void> {
    await this.#telling;
    const gone = this.#gone;
    const disabled = await this.#options.isDisabled();
    // An answer from before a 410 says nothing of the time after it.
    if (gone === this.#gone) this.#note(disabled);
  }

  #note(disabled: boolean): void {
    if (this.#disabled === disabled || this.#stop.cause !== undefined) return;
    this.#disabled = disabled;
    const { log } = this.#options;
    const fields = { receiver: this.#receiver.origin };
    if (disabled)
      log.error(fields, "the webhook receiver answered 410 Gone: nothing is delivered until a resume; events are kept for their 24 hours");
    else log.info(fields, "webhook delivery goes on");
  }

  /** One turn of the event of an order that is to be delivered next. Throws `NodeStops` after `stop`. */
  async send(orderId: string, event: WaitingEvent): Promise<Sent> {
    this.#throwIfStopped();
    // A resume may have been at another node, so what this one heard of a 410 is asked again.
    if (this.#disabled) await this.look();
    if (this.#disabled) return this.#unlessDead(event, "the receiver answered 410 Gone", { type: "disabled" });
    if (!this.#receiver.health.mayStart && this.#receiver.health.down) return this.#unlessDead(event, "receiver down", { type: "held" });
    const line = new CancelScope();
    const leaveLine = line.cancelAfter(LINE_MS);
    try {
      using _permit = await this.#places.acquire(line);
      leaveLine();
      this.#throwIfStopped();
      if (this.#disabled || !this.#receiver.health.mayStart) return { type: "held" };
      return await this.#judge(orderId, event, await this.#post(orderId, event));
    } catch (error) {
      if (error instanceof Canceled) return { type: "held" };
      throw error;
    } finally {
      leaveLine();
    }
  }

  /** Aborts what is under way: it is sent again by another node. */
  stop(): void {
    this.#stop.cancel("shutdown");
    this.#receiver.health.close();
  }

  #post(orderId: string, { id, payload, createdMs, tries }: WaitingEvent): Promise<PostResult> {
    return this.#receiver.send({ seq: 0, id, orderId, payload, createdMs, expiresMs: 0, tries }, this.#stop);
  }

  async #judge(orderId: string, event: WaitingEvent, result: PostResult): Promise<Sent> {
    const { log } = this.#options;
    switch (result.type) {
      case "delivered":
        return { type: "delivered" };
      case "gone":
        this.#gone++;
        this.#note(true);
        this.#telling ??= this.#options.disable().finally(() => {
          this.#telling = undefined;
        });
        // Until the cluster knows, a turn that has ended might be forgotten with this node.
        await this.#telling;
        return { type: "disabled" };
      case "aborted":
        throw new NodeStops("this node stops");
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
    return this.#options.clock.nowMs() >= expiresMs(event) ? { type: "dead", reason } : sent;
  }

  #throwIfStopped(): void {
    if (this.#stop.cause !== undefined) throw new NodeStops("this node stops");
  }
}
