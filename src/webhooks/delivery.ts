import type { EventOutbox, OrderEvent } from "../orders/order-event.ts";
import { JournalUnavailable } from "../orders/order-journal.ts";
import { EVENT_BACKOFF } from "../resilience/backoff.ts";
import { JournalRetry } from "../resilience/journal-retry.ts";
import { RetryQueue } from "../resilience/retry-queue.ts";
import { Canceled, CancelScope, SYSTEM_CLOCK } from "../threads/index.ts";
import { type OutboxSharer, TakenEvents } from "./taken-events.ts";
import { MAX_REQUESTS, type PostFailure, postToReceiver, WebhookReceiver, type WebhookReceiverOptions } from "./webhook-receiver.ts";

type Needed = "url" | "secrets" | "log";

export interface WebhookDeliveryOptions extends Pick<WebhookReceiverOptions, Needed>, Partial<Omit<WebhookReceiverOptions, Needed>> {
  readonly outbox: EventOutbox;
  /** This node, where several share the outbox. */
  readonly sharer?: OutboxSharer | undefined;
  /** Whether a time that was read from the clock just now may say that an event's time is over. Default: always. */
  readonly isClockRight?: (nowMs: number) => boolean;
  /** How long after `start` nothing is given up. */
  readonly startGraceMs?: number;
}

/** What delivery is doing, for metrics and operators. */
export interface DeliveryState {
  /** `disabled` after a 410, until `resume` or a restart. */
  readonly receiver: "up" | "down" | "disabled";
  readonly inFlight: number;
}

// After a long stop all events may have expired before their first try, and the receiver may still be starting.
const START_GRACE_MS = 60_000;
// Keeps the transaction short, because orders wait for it.
const GIVE_UPS_AT_ONCE = 64;
// How often events expire while the receiver wants none. Nobody waits for that.
const EXPIRE_EVERY_MS = 60_000;

/**
 * Delivers order events at least once, and those of one order strictly one after another: only the first of an order is ever due, and it
 * leaves the outbox durably before the next is sent. So even after a crash no receiver gets an old event after a newer one. A try counts
 * towards `maxRequests` until its outcome is stored: while the outbox cannot be written, more events would be sent twice.
 */
export class WebhookDelivery {
  readonly #options: Required<WebhookDeliveryOptions>;
  readonly #scope = new CancelScope();
  readonly #receiver: WebhookReceiver;
  readonly #taken: TakenEvents;
  readonly #journal: JournalRetry;
  readonly #queue: RetryQueue<OrderEvent>;
  #graceEndMs = 0;
  #disabled = false;
  #stopExpiryTimer: (() => void) | undefined;
  #expiring: Promise<void> | undefined;

  constructor(options: WebhookDeliveryOptions) {
    this.#options = {
      maxRequests: MAX_REQUESTS,
      isClockRight: () => true,
      sharer: undefined,
      startGraceMs: START_GRACE_MS,
      clock: SYSTEM_CLOCK,
      random: Math.random,
      post: postToReceiver(options.url),
      ...options,
    };
    const { log, clock, random } = this.#options;
    this.#receiver = new WebhookReceiver(this.#options);
    this.#taken = new TakenEvents(this.#options.sharer, this.#scope, clock);
    this.#journal = new JournalRetry({
      scope: this.#scope,
      clock,
      random,
      onStalled: (error) => this.#noteOutbox(error),
      onWorking: () => log.info({}, "the outbox can be used again"),
    });
    this.#queue = new RetryQueue({
      idOf: ({ seq }) => seq,
      take: (request) => this.#journal.run(() => this.#take({ ...request, nowMs: clock.nowMs() })),
      tryOnce: (event) => this.#try(event),
      giveBack: (event) => this.#giveBack(event),
      lane: this.#receiver.lane,
      clock,
      random,
      onFault: (message, error) => log.error({ err: error }, `webhook delivery: ${message}`),
    });
  }

  /** Begins with the events that have been due for the longest. Once. */
  start(): void {
    this.#graceEndMs = this.#options.clock.nowMs() + this.#options.startGraceMs;
    this.#queue.start();
  }

  /** New events were committed. Cheap; may be called at any time. */
  notify(): void {
    this.#queue.notify();
  }

  /** Goes on after a 410. Does nothing otherwise. */
  resume(): void {
    if (!this.#disabled || this.#scope.cause !== undefined) return;
    this.#disabled = false;
    this.#stopExpiryTimer?.();
    this.#options.log.info({ receiver: this.#receiver.origin }, "webhook delivery goes on");
    this.#queue.resume();
  }

  /** Aborts the requests under way; their events stay for the next start. The outbox must work until it has resolved. */
  async stop(): Promise<void> {
    this.#scope.cancel("shutdown");
    this.#stopExpiryTimer?.();
    this.#receiver.lane.health.close();
    await Promise.all([this.#queue.stop(), this.#expiring]);
  }

  state(): DeliveryState {
    return {
      receiver: this.#disabled ? "disabled" : this.#receiver.lane.health.down ? "down" : "up",
      inFlight: this.#receiver.lane.health.inFlight,
    };
  }

  async #take(request: Parameters<EventOutbox["takeEvents"]>[0]): ReturnType<EventOutbox["takeEvents"]> {
    const taken = await this.#options.outbox.takeEvents(request);
    this.#taken.note(taken.items);
    return taken;
  }

  async #try(event: OrderEvent): Promise<void> {
    // Others may send it now. No turn passes where that is known: the receiver's health counts what has begun.
    const isOwn = this.#taken.isOwn(event);
    if (isOwn !== true && !(await isOwn)) return;
    const result = await this.#receiver.send(event, this.#scope, () => this.#taken.isSurelyOwn(event));
    // Put off here, it could be sent beside a node that has it now.
    if (result.type === "failed" && !(await this.#taken.isOwn(event))) return;
    try {
      if (result.type === "delivered") await this.#delivered(event);
      if (result.type === "failed") await this.#failed(event, result);
      if (result.type === "gone") await this.#gone(event);
    } catch (error) {
      // The event stays as it was and is sent again after the next start.
      if (!(error instanceof Canceled)) throw error;
    }
  }

  async #delivered({ seq }: OrderEvent): Promise<void> {
    const { outbox, clock } = this.#options;
    await this.#journal.run(() => outbox.eventDelivered(seq, clock.nowMs()));
    // The next one of its order is due.
    this.#queue.notify();
  }

  async #failed(event: OrderEvent, failure: PostFailure): Promise<void> {
    const { outbox, log, clock, isClockRight } = this.#options;
    const { seq, tries } = event;
    const { reason } = failure;
    const nowMs = clock.nowMs();
    const leftMs = Math.max(event.expiresMs, this.#graceEndMs) - nowMs;
    const isRight = isClockRight(nowMs);
    const fields = { order_id: event.orderId, seq, reason };
    if (leftMs <= 0 && isRight) {
      await this.#journal.run(() => outbox.giveUpEvent(seq, reason, clock.nowMs()));
      log.error(fields, "an order event could not be delivered and is now a dead letter");
      this.#queue.notify();
    } else {
      if (tries === 0) log.warn(fields, "an order event was not delivered and will be tried again");
      else log.debug({ ...fields, failures: tries + 1 }, "an order event was not delivered again");
      const pauseMs = this.#receiver.lane.health.pauseMs(tries + 1, EVENT_BACKOFF, failure.retryAfterMs);
      const nextTryMs = nowMs + (leftMs > 0 ? Math.min(leftMs, pauseMs) : pauseMs);
      await this.#journal.run(() => outbox.eventFailed(seq, nextTryMs));
    }
    // One event probes a receiver that is down. No event expires while another one is sent or stored.
    const isProbe = this.#receiver.lane.health.down && this.#queue.inFlight === 1;
    if (isProbe && isRight) await this.#giveUpExpired(nowMs, `receiver down: ${reason}`);
  }

  async #giveUpExpired(expiredMs: number, reason: string): Promise<void> {
    const { outbox, log, clock } = this.#options;
    if (expiredMs < this.#graceEndMs) return;
    let events = 0;
    for (let batch = GIVE_UPS_AT_ONCE; batch === GIVE_UPS_AT_ONCE && this.state().receiver !== "up"; events += batch) {
      batch = await this.#journal.run(() => outbox.giveUpExpired(expiredMs, reason, clock.nowMs(), GIVE_UPS_AT_ONCE));
    }
    if (events === 0) return;
    log.error({ events, reason }, "order events could not be delivered and are now dead letters");
    this.#queue.notify();
  }

  async #gone(event: OrderEvent): Promise<void> {
    // First, or it would be taken here again.
    this.#disable();
    await this.#giveBack(event);
  }

  /** Any node may send it: this one after its resume, or one that has not heard a 410 or was told to go on before. */
  async #giveBack(event: OrderEvent): Promise<void> {
    const { outbox, clock } = this.#options;
    await this.#journal.run(() => outbox.eventFailed(event.seq, clock.nowMs()));
  }

  #disable(): void {
    if (this.#disabled || this.#scope.cause !== undefined) return;
    this.#disabled = true;
    this.#queue.pause();
    this.#expireLater();
    this.#options.log.error(
      { receiver: this.#receiver.origin },
      "the webhook receiver answered 410 Gone: nothing is delivered until a resume or a restart; events are kept for their 24 hours",
    );
  }

  /** While nothing is delivered, events expire, so that the outbox does not grow forever. */
  #expireLater(): void {
    this.#stopExpiryTimer?.();
    this.#stopExpiryTimer = this.#options.clock.after(EXPIRE_EVERY_MS, () => {
      this.#expiring = this.#expire();
    });
  }

  async #expire(): Promise<void> {
    try {
      const nowMs = this.#options.clock.nowMs();
      const isRight = this.#options.isClockRight(nowMs);
      if (isRight && this.#queue.inFlight === 0) await this.#giveUpExpired(nowMs, "the receiver answered 410 Gone");
    } catch (error) {
      if (!(error instanceof Canceled)) this.#options.log.error({ err: error }, "expired order events could not be given up");
    }
    if (this.#disabled && this.#scope.cause === undefined) this.#expireLater();
  }

  #noteOutbox(error: unknown): void {
    const { log } = this.#options;
    const message = "the outbox cannot be used: webhook delivery waits for it";
    if (error instanceof JournalUnavailable) log.warn({ reason: error.message }, message);
    else log.error({ err: error }, message);
  }
}
