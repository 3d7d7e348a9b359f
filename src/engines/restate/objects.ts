import type { CancelCause } from "../../orders/cancel-cause.ts";
import type { ErrorKind } from "../../orders/error-kind.ts";
import type { OrderEventType } from "../../orders/order-event.ts";
import type { CompensationStatus, StoredAnswer } from "../../orders/order-journal.ts";
import type { Simulation } from "../../orders/step.ts";
import type { StepName } from "../../orders/steps.ts";

/**
 * Names of the engine's objects, and the requests, answers and states of their handlers. All of it is stored, so the version before must be
 * able to read a changed form.
 *
 * | object | key | handlers |
 * |---|---|---|
 * | `Order` | order id | exclusive: `attempt`, `compensationChanged`; shared: `known`, `latest` |
 * | `OrderWaiters` | order id | exclusive: `join`, `leave` |
 * | `IdempotencyKey` | `keyOf(client, key)` | exclusive: `claim`, `bind`, `release`, `expire` |
 * | `Compensation` | `compensationKey(...)` | exclusive: `begin`, `retry`, `tryNow`, `settle`, `report`; shared: `row` |
 * | `OrderEvents` | order id | exclusive: `add`, `deliver`, `redeliver` |
 * | `CourierLease` (`courier-lease/courier-lease.ts`) | `couriers` | exclusive: `sync` |
 * | `WebhookReceiver` | `receiver` | exclusive: `disable`, `resume`, `wakeAll`, `wake`; shared: `state` |
 */
export const OBJECTS = {
  order: "Order",
  waiters: "OrderWaiters",
  idempotencyKey: "IdempotencyKey",
  compensation: "Compensation",
  orderEvents: "OrderEvents",
  webhookReceiver: "WebhookReceiver",
} as const;

/** `Order.attempt`: what a node asks for. */
export interface AttemptRequest {
  readonly orderId: string;
  readonly amount: number;
  readonly simulation?: Simulation;
  /** 0 (most) to 7. */
  readonly urgency: number;
  readonly requestId?: string;
  readonly traceparent?: string;
  readonly parentSpanId?: string;
  /** Unique. Distinguishes the request that began an attempt from those that joined it. */
  readonly token: string;
  /** When its node received it, wall clock. */
  readonly receivedMs: number;
  readonly key?: RequestKey;
}

export interface RequestKey {
  /** Of its `IdempotencyKey` object. */
  readonly id: string;
  readonly bodyHash: string;
  /** Wall clock. */
  readonly expiresMs: number;
  /** The attempt that the key was bound to when the request came; absent: none. */
  readonly boundTo?: number;
}

export type AttemptResult =
  /** The attempt has run. `fromOutside`: a hang-up or a shutdown canceled it, so it answers no request that still waits. */
  | {
      readonly type: "ended";
      readonly attempt: number;
      readonly token: string;
      readonly fromOutside: boolean;
      readonly answer: StoredAnswer;
    }
  | { readonly type: "replayed"; readonly attempt: number; readonly answer: StoredAnswer }
  | { readonly type: "conflict" };

/** An attempt in the state of `Order`, under `attemptState(n)`. */
export interface AttemptState {
  readonly attempt: number;
  readonly amount: number;
  readonly acceptedMs: number;
  /** Of the invocation that runs it; a hang-up cancels that. */
  readonly invocationId: string;
  readonly token: string;
  /** Object key of the Idempotency-Key of the request that began it. */
  readonly keyId?: string;
  readonly ended?: AttemptEnd;
}

export interface AttemptEnd {
  readonly atMs: number;
  readonly answer: StoredAnswer;
  readonly fromOutside: boolean;
  /** Somebody killed its invocation in the engine. */
  readonly interrupted?: true;
  readonly compensations: readonly CompensationOfAttempt[];
}

/** What `Compensation` has last reported to `Order`. */
export interface CompensationOfAttempt {
  readonly step: StepName;
  readonly status: CompensationStatus;
  readonly tries: number;
}

/** State of `Order`: the number of attempts, and the latest one. One key, written twice an attempt. The operators' lists read it. */
export interface OrderHead {
  readonly attempts: number;
  readonly latest: AttemptState;
}

export const HEAD = "head";
/** Attempts before the latest, each under a key of its own. */
export const attemptState = (attempt: number): string => `attempt:${attempt}`;

/** `Order.known`: undefined `before` gives the newest. */
export interface KnownRequest {
  readonly before?: number;
}

/**
 * `Order.compensationChanged`, sent one-way by `Compensation` after every retry and settlement, so that `GET /order/{id}` shows it. When
 * nothing of the attempt is pending any more, `Order` sends the event.
 */
export interface CompensationChanged {
  readonly attempt: number;
  readonly step: StepName;
  readonly status: CompensationStatus;
  readonly tries: number;
}

/** `Compensation.begin`, called by `Order.attempt`: a step of a failed attempt has to be compensated. Idempotent. */
export interface CompensationBegin {
  readonly orderId: string;
  readonly attempt: number;
  readonly step: StepName;
  readonly amount: number;
  readonly traceparent?: string;
  /** When its attempt failed, wall clock. */
  readonly sinceMs: number;
}

/** Key of a `Compensation` object; also the idempotency key of the call at the provider. */
export function compensationKey(orderId: string, attempt: number, step: StepName): string {
  return `${orderId}:${attempt}:${step}`;
}

/** `OrderEvents.add`, sent one-way by `Order`: `order.compensated` behind the `order.failed` of its attempt. */
export interface EventAdded {
  readonly type: OrderEventType;
  readonly orderId: string;
  readonly attempt: number;
  readonly amount: number;
  /** Of the attempt; absent for `order.placed`. */
  readonly error?: ErrorKind;
  /** When it happened, wall clock. */
  readonly atMs: number;
}

/** Key of an `IdempotencyKey` object. Neither part holds a line break. */
export function keyOf(client: string, key: string): string {
  return `${client}\n${key}`;
}

/** `IdempotencyKey.claim`, before anything else of a request that carries a key. */
export interface KeyClaim {
  readonly bodyHash: string;
  readonly nowMs: number;
  readonly token: string;
}

export type KeyClaimed =
  | { readonly type: "mismatch" }
  /** No other body may use it until it is bound or released, or the claim has expired. */
  | { readonly type: "claimed" }
  /** It stands for this attempt of the order that its body names. */
  | { readonly type: "bound"; readonly attempt: number };

/** `IdempotencyKey.bind`: the key stands for this attempt, which runs or has been joined. */
export interface KeyBinding {
  readonly bodyHash: string;
  readonly attempt: number;
  readonly expiresMs: number;
  readonly nowMs: number;
}

/** `IdempotencyKey.release`: the request was refused, or its attempt was canceled from outside. */
export type KeyRelease = { readonly token: string } | { readonly attempt: number };

/** `OrderWaiters.join`: a request other than the one that began the attempt waits for its answer. */
export interface WaiterJoins {
  /** Of the request that began the attempt. */
  readonly attempt: string;
  readonly token: string;
}

/** `OrderWaiters.leave`: a request stops waiting. The last one to leave cancels the attempt. */
export interface WaiterLeaves extends WaiterJoins {
  readonly invocationId: string;
  readonly cause: CancelCause;
}

/** Name of the signal that cancels an attempt; its value is the cause. The engine's own cancel might hit a later attempt. */
export function cancelSignal(token: string): string {
  return `cancel:${token}`;
}
