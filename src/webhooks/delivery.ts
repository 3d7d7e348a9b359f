import type { KeyObject } from "node:crypto";
import { Canceled } from "../concurrency/cancel-cause.ts";
import { CancelScope } from "../concurrency/cancel-scope.ts";
import { Capacity } from "../concurrency/capacity.ts";
import { type Growth, growingPauseMs } from "../concurrency/growing-pause.ts";
import type { EventOutbox, OrderEvent } from "../orders/order-event.ts";
import { type DeliveryClock, SYSTEM_CLOCK } from "./delivery-clock.ts";
import type { DeliveryLog } from "./delivery-log.ts";
import { type Entry, type Lane, OrderLanes } from "./order-lanes.ts";
import { PatientOutbox } from "./patient-outbox.ts";
import { type PostFailure, type PostResult, postEvent } from "./post-event.ts";
import { type ReceiverFailure, ReceiverHealth } from "./receiver-health.ts";

export interface WebhookDeliveryOptions {
  readonly outbox: EventOutbox;
  /** Absolute, http or https, without user and password (`fetch` refuses those). */
  readonly url: string;
  /** Every one of them signs every delivery. */
  readonly secrets: readonly KeyObject[];
  readonly log: DeliveryLog;
  /** Requests at one time, each for another order. */
  readonly maxRequests?: number;
  /** Events whose payload may be in memory. */
  readonly maxHeld?: number;
  /** Events that may be known without their payload: how many can fail each for itself before other orders wait for them. */
  readonly maxTracked?: number;
  readonly pageSize?: number;
  /** How long after `start` nothing is given up. */
  readonly startGraceMs?: number;
  readonly clock?: DeliveryClock;
  /** 0 to 1, for the jitter of pauses. */
  readonly random?: () => number;
  readonly fetch?: typeof fetch;
}

/** What delivery is doing, for metrics. */
export interface DeliveryState {
  /** `disabled` after a 410, until a restart. */
  readonly receiver: "up" | "down" | "disabled";
  readonly inFlight: number;
  /** Events known here; the outbox may hold more. */
  readonly tracked: number;
  /** Those of them whose payload is in memory. */
  readonly held: number;
}

// Enough that a receiver 100 ms away gets 160 events a second, few enough for a small one.
const MAX_REQUESTS = 16;
// A payload is below 20 kB, so 20 MB at the very worst, in practice well below one.
const MAX_HELD = 1024;
// Some 200 bytes each.
const MAX_TRACKED = 65_536;
const PAGE_SIZE = 256;
// The lower end of what Standard Webhooks recommends: a receiver should note the event and work later.
const REQUEST_TIMEOUT_MS = 15_000;
const GIVE_UP_AFTER_MS = 24 * 3_600_000;
// A deploy or a lock passes within seconds; what lasts for hours is found within ten minutes of its repair, for about
// 150 tries before an event is given up.
const EVENT_PAUSE: Growth = { baseMs: 1_000, capMs: 600_000 };
// After a long stop everything may be older than that at the first try, and the receiver be starting too.
const START_GRACE_MS = 60_000;
// Many give-ups share one commit of the journal, and leave it room for orders.
const GIVE_UPS_AT_ONCE = 64;

/**
 * Delivers order events at least once, the events of one order strictly one after another. An event goes only when the
 * one before it is marked in the outbox, durably: even after a crash a receiver never gets an old event behind a newer one.
 *
 * Everything runs from `#pump`, which starts whatever may start now; whatever changes that calls it again. No `TaskGroup`:
 * that keeps the outcome of every task until its end, and this one ends with the process.
 */
export class WebhookDelivery {
  readonly #options: Required<WebhookDeliveryOptions>;
  /** For logs: the rest of the URL may hold a token. */
  readonly #receiver: string;
  readonly #scope = new CancelScope();
  readonly #outbox: PatientOutbox;
  readonly #health: ReceiverHealth;
  readonly #lanes = new OrderLanes();
  readonly #giveUps = new Capacity(GIVE_UPS_AT_ONCE);
  readonly #wakeUps = new Map<Lane, () => void>();
  readonly #tasks = new Set<Promise<void>>();
  #phase: "new" | "running" | "disabled" | "stopped" = "new";
  #startedMs = 0;
  #readUpTo = 0;
  #reading = false;
  #more = true;
  /** The last failed try while the receiver is down. It holds for every event that is waiting for the receiver. */
  #outage: { readonly reason: string; readonly atMs: number } | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: WebhookDeliveryOptions) {
    this.#options = {
      maxRequests: MAX_REQUESTS,
      maxHeld: MAX_HELD,
      maxTracked: MAX_TRACKED,
      pageSize: PAGE_SIZE,
      startGraceMs: START_GRACE_MS,
      clock: SYSTEM_CLOCK,
      random: Math.random,
      fetch: globalThis.fetch,
      ...options,
    };
    const { outbox, url, log, clock, random, maxRequests, maxHeld, maxTracked, pageSize } = this.#options;
    if (pageSize > Math.min(maxHeld, maxTracked)) throw new RangeError("a page must fit into what may be held and tracked");
    this.#receiver = new URL(url).origin;
    const onResume = () => this.#pump();
    this.#outbox = new PatientOutbox({ outbox, scope: this.#scope, log, clock, random, onResume });
    this.#health = new ReceiverHealth({ maxRequests, clock, random, onResume });
  }

  /** Begins with the oldest undelivered event of the outbox. Once. */
  start(): void {
    if (this.#phase !== "new") throw new Error("webhook delivery was started before");
    this.#phase = "running";
    this.#startedMs = this.#options.clock.nowMs();
    this.#pump();
  }

  /** New events were committed. Cheap, and may be called at any time. */
  notify(): void {
    this.#more = true;
    this.#pump();
  }

  /**
   * Ends: aborts the requests under way, whose events stay and are delivered again after the next start, and resolves when
   * nothing runs any more. The outbox must work until then.
   */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  state(): DeliveryState {
    const receiver = this.#phase === "disabled" ? "disabled" : this.#health.down ? "down" : "up";
    return { receiver, inFlight: this.#health.inFlight, tracked: this.#lanes.tracked, held: this.#lanes.held };
  }

  async #stop(): Promise<void> {
    this.#phase = "stopped";
    this.#scope.cancel("shutdown");
    this.#dropTimers();
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
  }

  #pump(): void {
    if (this.#phase !== "running") return;
    // Without the outbox nothing can be marked as delivered: whatever were sent now would be sent again.
    while (this.#health.mayStart && !this.#outbox.stalled) {
      const lane = this.#lanes.take(this.#health.down);
      if (lane === undefined) break;
      this.#spawn(this.#deliver(lane));
    }
    if (this.#more && !this.#reading && this.#hasRoom()) this.#spawn(this.#read());
  }

  #hasRoom(): boolean {
    const { maxHeld, maxTracked, pageSize } = this.#options;
    return this.#lanes.held + pageSize <= maxHeld && this.#lanes.tracked + pageSize <= maxTracked;
  }

  #spawn(task: Promise<void>): void {
    const settled = task
      .catch((error: unknown) => {
        // A wait that `stop` ended is no fault. Anything else is a bug: its order stands still until a restart, the others go on.
        if (error instanceof Canceled) return;
        this.#options.log.error({ err: error }, "webhook delivery failed unexpectedly");
      })
      .then(() => {
        this.#tasks.delete(settled);
        this.#pump();
      });
    this.#tasks.add(settled);
  }

  async #read(): Promise<void> {
    this.#reading = true;
    // Before the read: a `notify` that comes while it runs is about rows it may not see.
    this.#more = false;
    try {
      const { pageSize } = this.#options;
      const page = await this.#outbox.undelivered(this.#readUpTo, pageSize);
      for (const event of page) this.#lanes.add(event);
      this.#readUpTo = page.at(-1)?.seq ?? this.#readUpTo;
      if (page.length === pageSize) this.#more = true;
    } finally {
      this.#reading = false;
    }
    this.#giveUpExpired();
  }

  async #deliver(lane: Lane): Promise<void> {
    const result = await this.#try(lane);
    switch (result?.type) {
      case undefined:
        return this.#next(lane);
      case "delivered":
        this.#lanes.drop(lane);
        // The place of this request is free while the mark is on its way.
        this.#pump();
        await this.#outbox.delivered(lane.entries[0].seq);
        return this.#next(lane);
      case "failed":
        return this.#afterFailure(lane, result);
      case "gone":
        return this.#disable();
      case "aborted":
        return;
    }
  }

  /** One request. Undefined when the event is in the outbox no more. */
  async #try(lane: Lane): Promise<PostResult | undefined> {
    const epoch = this.#health.begin();
    let outcome: "ok" | ReceiverFailure | undefined;
    try {
      const event = await this.#payload(lane.entries[0]);
      if (event === undefined) return undefined;
      const result = await this.#post(event);
      if (result.type === "delivered") outcome = "ok";
      if (result.type === "failed") outcome = this.#judge(lane, result);
      return result;
    } finally {
      const wasDown = this.#health.down;
      this.#health.end(epoch, outcome);
      this.#noteReceiver(wasDown);
    }
  }

  async #payload(entry: Entry): Promise<OrderEvent | undefined> {
    if (entry.event !== undefined) return entry.event;
    const [event] = await this.#outbox.undelivered(entry.seq - 1, 1);
    if (event?.seq !== entry.seq) return undefined;
    this.#lanes.hold(entry, event);
    return event;
  }

  async #post(event: OrderEvent): Promise<PostResult> {
    const { clock } = this.#options;
    const scope = new CancelScope();
    const following = scope.follow(this.#scope);
    const stopTimer = clock.after(REQUEST_TIMEOUT_MS, () => void scope.cancel("deadline"));
    try {
      return await postEvent(event, this.#options, scope, clock.nowMs());
    } finally {
      stopTimer();
      following.leave();
    }
  }

  #judge(lane: Lane, { kind, retryAfterMs = 0 }: PostFailure): ReceiverFailure {
    return {
      // An event that was refused before and is again says nothing new: a few that a receiver never takes must not stop all others.
      counts: kind !== "refused" || lane.failures === 0 || this.#health.down,
      overloaded: kind === "overloaded",
      pauseMs: kind === "overloaded" ? retryAfterMs : 0,
    };
  }

  #noteReceiver(wasDown: boolean): void {
    const { log } = this.#options;
    const receiver = this.#receiver;
    if (!wasDown && this.#health.down) log.warn({ receiver }, "the webhook receiver is down: probing it with one request at a time");
    if (wasDown && !this.#health.down) {
      this.#outage = undefined;
      log.info({ receiver }, "the webhook receiver is up again");
    }
  }

  #afterFailure(lane: Lane, { reason, kind, retryAfterMs = 0 }: PostFailure): void {
    const { log, clock, random } = this.#options;
    const entry = lane.entries[0];
    const fields = { order_id: lane.orderId, seq: entry.seq, reason };
    lane.failures++;
    if (lane.failures === 1) log.warn(fields, "an order event was not delivered and will be tried again");
    else log.debug({ ...fields, failures: lane.failures }, "an order event was not delivered again");
    if (this.#phase !== "running") return;

    const nowMs = clock.nowMs();
    const leftMs = this.#expiresMs(entry) - nowMs;
    if (leftMs <= 0) {
      this.#spawn(this.#giveUp(lane, reason));
    } else if (this.#health.down || (kind === "overloaded" && retryAfterMs > 0)) {
      // The receiver's pause is the event's pause: with one of its own it would come late to a receiver that is back.
      this.#ready(lane);
    } else {
      const pauseMs = Math.max(retryAfterMs, growingPauseMs(lane.failures, EVENT_PAUSE, random));
      this.#rest(lane, Math.min(pauseMs, leftMs));
    }
    if (!this.#health.down) return;
    this.#outage = { reason, atMs: nowMs };
    this.#giveUpExpired();
  }

  #rest(lane: Lane, pauseMs: number): void {
    this.#lanes.rest(lane);
    const stop = this.#options.clock.after(pauseMs, () => {
      this.#wakeUps.delete(lane);
      this.#ready(lane);
      this.#pump();
    });
    this.#wakeUps.set(lane, stop);
  }

  #next(lane: Lane): void {
    if (this.#lanes.finish(lane)) this.#ready(lane);
  }

  #ready(lane: Lane): void {
    this.#lanes.ready(lane);
    if (this.#isExpired(lane)) this.#giveUpExpired();
  }

  #expiresMs({ createdMs }: Entry): number {
    return Math.max(createdMs + GIVE_UP_AFTER_MS, this.#startedMs + this.#options.startGraceMs);
  }

  /**
   * Whether the receiver failed after the time of a lane's first event was over: no event is given up without that. A
   * receiver that is down is asked with one event on behalf of all.
   */
  #isExpired(lane: Lane): boolean {
    return this.#outage !== undefined && this.#expiresMs(lane.entries[0]) <= this.#outage.atMs;
  }

  #giveUpExpired(): void {
    if (this.#outage === undefined || this.#phase !== "running") return;
    const { reason } = this.#outage;
    for (const lane of this.#lanes.takeWhere((each) => this.#isExpired(each))) this.#spawn(this.#giveUp(lane, `receiver down: ${reason}`));
  }

  async #giveUp(lane: Lane, reason: string): Promise<void> {
    const { log, clock } = this.#options;
    this.#lanes.drop(lane);
    using _permit = await this.#giveUps.acquire(this.#scope);
    const { seq } = lane.entries[0];
    await this.#outbox.giveUp(seq, reason, clock.nowMs());
    log.error({ order_id: lane.orderId, seq, reason }, "an order event could not be delivered and is now a dead letter");
    this.#next(lane);
  }

  #disable(): void {
    if (this.#phase !== "running") return;
    this.#phase = "disabled";
    this.#dropTimers();
    this.#options.log.error(
      { receiver: this.#receiver },
      "the webhook receiver answered 410 Gone: nothing is delivered until a restart; events are kept",
    );
  }

  #dropTimers(): void {
    this.#health.close();
    for (const stop of this.#wakeUps.values()) stop();
    this.#wakeUps.clear();
  }
}
