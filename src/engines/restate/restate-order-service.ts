import { randomUUID } from "node:crypto";
import type { CancelCause } from "../../orders/cancel-cause.ts";
import { InFlight } from "../../orders/in-flight.ts";
import type { IdempotencyKey } from "../../orders/order-journal.ts";
import { onHangUp } from "../../orders/order-run.ts";
import type { PlacedAnswer, Placement, PlaceRequest } from "../../orders/order-service.ts";
import { Refused } from "../../orders/refused.ts";
import { DEFAULT_URGENCY } from "../../threads/index.ts";
import type { PlacesOrders } from "../engine.ts";
import type { AttemptCall } from "./attempt-call.ts";
import { type AttemptClient, conflict, unreachable } from "./attempt-client.ts";
import { EngineUnreachable } from "./client/engine-client.ts";
import { type Ingress, InvocationCanceled } from "./client/ingress.ts";
import {
  type AttemptRequest,
  type AttemptResult,
  type KeyBinding,
  type KeyClaim,
  type KeyClaimed,
  type KeyRelease,
  keyOf,
  OBJECTS,
  type RequestKey,
} from "./objects.ts";
import type { Executions } from "./order/executions.ts";

export interface RestateOrderServiceOptions {
  /** For keys. */
  readonly ingress: Ingress;
  readonly attempts: AttemptClient;
  readonly executions: Executions;
  readonly maxInFlight: number;
  /** False: the engine does not answer. */
  readonly reachable: () => boolean;
}

// A request whose attempt others canceled calls for a new one, which cannot happen many times in a row.
const MAX_ATTEMPTS = 20;
// A busy engine may take long. The death of an engine is noticed within a second, and its calls fail then.
const KEY_TIMEOUT_MS = 5_000;

interface Visit {
  call: AttemptCall | undefined;
  left: boolean;
}

/** The order service of this node's clients, over the engine. Main thread only. */
export class RestateOrderService implements PlacesOrders {
  readonly #options: RestateOrderServiceOptions;
  readonly #inFlight: InFlight;

  constructor(options: RestateOrderServiceOptions) {
    this.#options = options;
    this.#inFlight = new InFlight(options.maxInFlight);
  }

  get inFlight(): number {
    return this.#inFlight.count;
  }

  fieldsOf(orderId: unknown): Readonly<Record<string, unknown>> {
    const execution = typeof orderId === "string" ? this.#options.executions.get(orderId) : undefined;
    if (execution === undefined) return {};
    const { requestId, input } = execution;
    return { order_id: input.orderId, attempt: input.attempt, request_id: requestId };
  }

  open(): void {
    this.#inFlight.open();
  }

  /** Throws `Refused`. The promised answer rejects with `Refused` too, because the engine refuses later. */
  async place(request: PlaceRequest): Promise<Placement> {
    this.#inFlight.refuseUnlessOpen();
    if (!this.#options.reachable()) throw unreachable();
    if (this.#inFlight.isFull) throw new Refused("overloaded", "too many orders in flight");
    this.#inFlight.enter();
    const visit: Visit = { call: undefined, left: false };
    const answer = this.#answer(request, visit).finally(() => this.#inFlight.leave());
    onHangUp(request.signal, () => this.#leave(visit));
    return { answer, replayed: false };
  }

  drain(): Promise<void> {
    return this.#inFlight.drain();
  }

  cancelAll(cause: CancelCause): void {
    this.#options.attempts.cancelAll(cause);
  }

  async #answer(request: PlaceRequest, visit: Visit): Promise<PlacedAnswer> {
    const claim = randomUUID();
    const key = request.key === undefined ? undefined : await this.#claim(request.key, claim);
    try {
      return await this.#attempts(request, key, visit);
    } catch (error) {
      if (key !== undefined && key.boundTo === undefined) void this.#release(key, { token: claim });
      throw error instanceof EngineUnreachable ? unreachable() : error;
    }
  }

  async #attempts(request: PlaceRequest, key: RequestKey | undefined, visit: Visit): Promise<PlacedAnswer> {
    const attempt = requestOf(request, key);
    for (let tries = 0; tries < MAX_ATTEMPTS && !visit.left; tries++) {
      const call = this.#options.attempts.call(attempt);
      visit.call = call;
      try {
        const result = await call.result;
        if (result.type === "conflict") throw conflict();
        const isOver = result.type === "replayed" || !result.fromOutside || visit.left || this.#inFlight.isDraining;
        if (!isOver) continue;
        if (key !== undefined && !boundByHandler(key, call, result)) await this.#bind(key, result.attempt);
        return result.type === "replayed" ? { ...result.answer, replayed: true } : result.answer;
      } catch (error) {
        // Requests that left had the invocation canceled before it began: this request makes a new one.
        if (!(error instanceof InvocationCanceled)) throw error;
      }
    }
    if (visit.left) throw new Refused("canceled", "the client hung up");
    throw new Refused("overloaded", "the order is canceled again and again", 1);
  }

  #leave(visit: Visit): void {
    if (visit.left) return;
    visit.left = true;
    if (visit.call !== undefined) this.#options.attempts.leave(visit.call, "client_disconnected");
  }

  async #claim({ client, key, bodyHash, expiresMs }: IdempotencyKey, token: string): Promise<RequestKey> {
    const id = keyOf(client, key);
    const body: KeyClaim = { bodyHash, nowMs: Date.now(), token };
    let claimed: KeyClaimed;
    try {
      claimed = await this.#callKey<KeyClaimed>(id, "claim", body);
    } catch (error) {
      throw error instanceof EngineUnreachable ? unreachable() : error;
    }
    if (claimed.type === "mismatch") {
      throw new Refused("idempotency_mismatch", "Idempotency-Key: this key was used with another body");
    }
    return { id, bodyHash, expiresMs, ...(claimed.type === "bound" && { boundTo: claimed.attempt }) };
  }

  async #bind({ id, bodyHash, expiresMs }: RequestKey, attempt: number): Promise<void> {
    const body: KeyBinding = { bodyHash, attempt, expiresMs, nowMs: Date.now() };
    await this.#callKey(id, "bind", body);
  }

  async #release({ id }: RequestKey, body: KeyRelease): Promise<void> {
    // A claim that is not released ends by itself after a minute.
    await this.#callKey(id, "release", body).catch(() => {});
  }

  #callKey<Answer>(key: string, handler: string, body: unknown): Promise<Answer> {
    return this.#options.ingress.call<Answer>({ object: OBJECTS.idempotencyKey, key, handler, body, timeoutMs: KEY_TIMEOUT_MS });
  }
}

/** Whether `Order.attempt` has bound this key: it binds only the key of the request that began the attempt, not of those that joined it. */
function boundByHandler(key: RequestKey, { request }: AttemptCall, result: AttemptResult): boolean {
  return result.type === "ended" && result.token === request.token && request.key?.id === key.id;
}

function requestOf(
  { order, requestId, urgency = DEFAULT_URGENCY, traceparent, parentSpanId }: PlaceRequest,
  key: RequestKey | undefined,
): Omit<AttemptRequest, "token"> {
  const { orderId, amount, simulation } = order;
  return {
    orderId,
    amount,
    urgency,
    receivedMs: Date.now(),
    ...(simulation !== undefined && { simulation }),
    ...(requestId !== undefined && { requestId }),
    ...(traceparent !== undefined && { traceparent }),
    ...(parentSpanId !== undefined && { parentSpanId }),
    ...(key !== undefined && { key }),
  };
}
