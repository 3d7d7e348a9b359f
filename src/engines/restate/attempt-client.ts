import { randomUUID } from "node:crypto";
import type { CancelCause } from "../../orders/cancel-cause.ts";
import type { OnFault } from "../../orders/faults.ts";
import { OrderRuns } from "../../orders/order-runs.ts";
import { Refused } from "../../orders/refused.ts";
import { AttemptCall } from "./attempt-call.ts";
import { type EngineAdmin, sqlText } from "./client/engine-admin.ts";
import { EngineUnreachable } from "./client/engine-client.ts";
import { type Ingress, InvocationCanceled } from "./client/ingress.ts";
import { type AttemptRequest, type AttemptResult, type AttemptState, OBJECTS, type WaiterJoins, type WaiterLeaves } from "./objects.ts";
import type { Executions } from "./order/executions.ts";

export interface AttemptClientOptions {
  readonly ingress: Ingress;
  readonly admin: EngineAdmin;
  readonly executions: Executions;
  readonly orderTimeoutMs: number;
  readonly maxInFlight: number;
  readonly onFault: OnFault;
}

// Most orders of a quick pipeline have ended by then, and a conflict with other content is still reported soon.
const CHECK_AFTER_MS = 50;
const CHECK_AGAIN_MS = 100;
const CHECK_TIMEOUT_MS = 2_000;
// Checks must not keep a busy engine busy: those over the limit are made later.
const MAX_CHECKS = 8;
// On top of the deadline: the first tries of compensations take half a second at most, and the engine itself some time.
const ANSWER_EXTRA_MS = 3_000;
const HANG_UP_TRIES = 20;
const RETRY_AFTER_SECONDS = 1;

/** Calls the engine for attempts, on behalf of this node's requests. Requests for one order and content share a call. Main thread only. */
export class AttemptClient {
  readonly #options: AttemptClientOptions;
  readonly #calls: OrderRuns<AttemptCall>;
  #checks = 0;

  constructor(options: AttemptClientOptions) {
    this.#options = options;
    this.#calls = new OrderRuns(options.maxInFlight);
  }

  /** Joins a call for the same order and content, or makes one. */
  call(request: Omit<AttemptRequest, "token">): AttemptCall {
    const other = this.#calls.get(request.orderId);
    const isSame = other !== undefined && !other.isOver && !other.isAbandoned && other.request.amount === request.amount;
    if (isSame && request.key?.boundTo === undefined) {
      other.join();
      return other;
    }
    const call = new AttemptCall({ ...request, token: randomUUID() });
    call.join();
    // A rejection that no request waits for is not an unhandled one.
    call.result.catch(() => {});
    this.#calls.add(call);
    void this.#ask(call);
    // Another call with other content is under way: a conflict is likely.
    void this.#watch(call, other === undefined ? CHECK_AFTER_MS : 0);
    return call;
  }

  /** A request stops waiting. The last one cancels the attempt on whichever node it runs, unless requests of other nodes wait for it. */
  leave(call: AttemptCall, cause: CancelCause): void {
    call.leave();
    if (call.isAbandoned && !call.isOver) void this.#hangUp(call, cause);
  }

  /** Cancels every attempt that a request of this node waits for. */
  cancelAll(cause: CancelCause): void {
    for (const call of this.#calls.all()) {
      const here = this.#executionOf(call);
      if (here === undefined) void this.#hangUp(call, cause);
      else here.cancel(cause);
    }
  }

  /** The engine does not answer: refuses every request that waits. Their orders go on. */
  giveUp(): void {
    for (const call of this.#calls.all()) call.fail(unreachable());
  }

  async #ask(call: AttemptCall): Promise<void> {
    const { ingress, orderTimeoutMs } = this.#options;
    try {
      const result = await ingress.call<AttemptResult>({
        object: OBJECTS.order,
        key: call.orderId,
        handler: "attempt",
        body: call.request,
        idempotencyKey: String(call.request.amount),
        timeoutMs: orderTimeoutMs + ANSWER_EXTRA_MS,
      });
      call.end(result);
    } catch (error) {
      if (error instanceof InvocationCanceled) call.fail(call.conflicts ? conflict() : error);
      else call.fail(this.#refusalFor(error));
    } finally {
      this.#calls.remove(call);
    }
  }

  /** Until the attempt runs: checks whether the order runs with other content, and joins an attempt that another node's request began. */
  async #watch(call: AttemptCall, checkAfterMs: number): Promise<void> {
    for (let pauseMs = checkAfterMs; ; pauseMs = CHECK_AGAIN_MS) {
      await sleep(pauseMs);
      if (call.isOver || call.isAbandoned || this.#executionOf(call) !== undefined) return;
      if (this.#checks >= MAX_CHECKS) continue;
      this.#checks++;
      try {
        const latest = await this.#latest(call.orderId);
        if (latest !== undefined && latest.ended === undefined && (await this.#foundOut(call, latest))) return;
      } catch (error) {
        // `EngineHealth` finds out whether the engine answers at all.
        if (!(error instanceof EngineUnreachable)) call.fail(error);
      } finally {
        this.#checks--;
      }
    }
  }

  /** Acts on an attempt that runs. True when no further check is needed. */
  async #foundOut(call: AttemptCall, running: AttemptState): Promise<boolean> {
    if (running.amount !== call.request.amount) {
      // Set before the cancel, because its effect may arrive before its answer. An attempt that has begun meanwhile runs to its end.
      call.conflicts = true;
      return await this.#cancelPending(call);
    }
    if (running.token !== call.request.token) {
      call.joined = running;
      const joins: WaiterJoins = { attempt: running.token, token: call.request.token };
      await this.#options.ingress.call({
        object: OBJECTS.waiters,
        key: call.orderId,
        handler: "join",
        body: joins,
        timeoutMs: CHECK_TIMEOUT_MS,
      });
    }
    return true;
  }

  async #hangUp(call: AttemptCall, cause: CancelCause): Promise<void> {
    try {
      for (let tries = 0; tries < HANG_UP_TRIES && !call.isOver; tries++) {
        if (await this.#canceled(call, cause)) return;
        await sleep(CHECK_AGAIN_MS);
      }
    } catch (error) {
      // The order's deadline ends it.
      this.#options.onFault("an order whose client hung up could not be canceled", error, { order_id: call.orderId });
    }
  }

  async #canceled(call: AttemptCall, cause: CancelCause): Promise<boolean> {
    const { token, amount } = call.request;
    const latest = await this.#latest(call.orderId);
    if (latest === undefined || latest.ended !== undefined || latest.amount !== amount) return await this.#cancelPending(call);
    const body: WaiterLeaves = { attempt: latest.token, token, invocationId: latest.invocationId, cause };
    await this.#options.ingress.call({
      object: OBJECTS.waiters,
      key: call.orderId,
      handler: "leave",
      body,
      timeoutMs: CHECK_TIMEOUT_MS,
    });
    return true;
  }

  /** Cancels the call's invocation while it waits behind another attempt of its order. False where it does not (any more). */
  async #cancelPending({ request: { orderId, amount } }: AttemptCall): Promise<boolean> {
    const { admin } = this.#options;
    const rows = await admin.query<{ id: string }>(
      `SELECT id FROM sys_invocation WHERE target_service_name = '${OBJECTS.order}' AND target_service_key = ${sqlText(orderId)}` +
        ` AND target_handler_name = 'attempt' AND idempotency_key = '${amount}' AND status = 'pending'`,
      CHECK_TIMEOUT_MS,
    );
    for (const { id } of rows) await admin.cancel(id);
    return rows.length > 0;
  }

  async #latest(orderId: string): Promise<AttemptState | undefined> {
    const call = { object: OBJECTS.order, key: orderId, handler: "latest", timeoutMs: CHECK_TIMEOUT_MS };
    return (await this.#options.ingress.call<AttemptState | null>(call)) ?? undefined;
  }

  #executionOf(call: AttemptCall) {
    const execution = this.#options.executions.get(call.orderId);
    return execution?.token === call.request.token ? execution : undefined;
  }

  #refusalFor(error: unknown): unknown {
    return error instanceof EngineUnreachable ? unreachable() : error;
  }
}

export function unreachable(): Refused {
  return new Refused("overloaded", "the engine cannot be reached", RETRY_AFTER_SECONDS);
}

export function conflict(): Refused {
  return new Refused("order_conflict", "order_id: this order is already placed with another amount");
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
