import { randomUUID } from "node:crypto";
import type { CancelCause } from "../../concurrency/cancel-cause.ts";
import type { OnFault } from "../../orders/faults.ts";
import { OrderRuns } from "../../orders/order-runs.ts";
import { Refused } from "../../orders/refused.ts";
import { type EngineAdmin, sqlText } from "./client/engine-admin.ts";
import { EngineUnreachable } from "./client/engine-client.ts";
import { type Ingress, InvocationCanceled } from "./client/ingress.ts";
import { type AttemptRequest, type AttemptResult, type AttemptState, OBJECTS, type WaiterJoins, type WaiterLeaves } from "./objects.ts";
import type { Executions } from "./order/executions.ts";
import { OrderWait } from "./order-wait.ts";

export interface WaitingRoomOptions {
  readonly ingress: Ingress;
  readonly admin: EngineAdmin;
  readonly executions: Executions;
  readonly orderTimeoutMs: number;
  readonly maxInFlight: number;
  readonly onFault: OnFault;
}

// Until then most orders of a quick pipeline have ended, and one that waits for the order's other content hears of the conflict soon enough.
const LOOK_AFTER_MS = 50;
const LOOK_AGAIN_MS = 100;
const LOOK_TIMEOUT_MS = 2_000;
// An engine that is busy must not be kept busy with looks: those that find no room come later.
const MAX_LOOKS = 8;
// On top of the deadline: the first tries of compensations take half a second at most, and the engine itself some time.
const ANSWER_EXTRA_MS = 3_000;
const HANG_UP_TRIES = 20;
const RETRY_AFTER_SECONDS = 1;

/** Asks the engine for attempts and waits for them, for the requests of this node. Main thread only. */
export class WaitingRoom {
  readonly #options: WaitingRoomOptions;
  readonly #waits: OrderRuns<OrderWait>;
  #looks = 0;

  constructor(options: WaitingRoomOptions) {
    this.#options = options;
    this.#waits = new OrderRuns(options.maxInFlight);
  }

  /** Waits with those that wait for the same already, or asks the engine. */
  enter(request: Omit<AttemptRequest, "token">): OrderWait {
    const other = this.#waits.get(request.orderId);
    const isSame = other !== undefined && !other.isOver && !other.isLeft && other.request.amount === request.amount;
    if (isSame && request.key?.boundTo === undefined) {
      other.join();
      return other;
    }
    const wait = new OrderWait({ ...request, token: randomUUID() });
    wait.join();
    // Whoever waits hears of it; where all have left, nobody does.
    wait.result.catch(() => {});
    this.#waits.add(wait);
    void this.#ask(wait);
    // Where it is here with other content already, there is reason to look at once.
    void this.#watch(wait, other === undefined ? LOOK_AFTER_MS : 0);
    return wait;
  }

  /** One that waited does not any more; the last one cancels the attempt, wherever it runs, unless requests of other nodes wait for it. */
  leave(wait: OrderWait, cause: CancelCause): void {
    wait.leave();
    if (wait.isLeft && !wait.isOver) void this.#hangUp(wait, cause);
  }

  /** Cancels all that is waited for here. */
  cancelAll(cause: CancelCause): void {
    for (const wait of this.#waits.all()) {
      const here = this.#executionOf(wait);
      if (here === undefined) void this.#hangUp(wait, cause);
      else here.cancel(cause);
    }
  }

  /** The engine does not answer: whoever waits is told so. Their orders go on. */
  giveUp(): void {
    for (const wait of this.#waits.all()) wait.fail(unreachable());
  }

  async #ask(wait: OrderWait): Promise<void> {
    const { ingress, orderTimeoutMs } = this.#options;
    try {
      const result = await ingress.call<AttemptResult>({
        object: OBJECTS.order,
        key: wait.orderId,
        handler: "attempt",
        body: wait.request,
        idempotencyKey: String(wait.request.amount),
        timeoutMs: orderTimeoutMs + ANSWER_EXTRA_MS,
      });
      wait.end(result);
    } catch (error) {
      if (error instanceof InvocationCanceled) wait.fail(wait.conflicts ? conflict() : error);
      else wait.fail(this.#refusalFor(error));
    } finally {
      this.#waits.remove(wait);
    }
  }

  /** Until the attempt runs: looks whether the order runs with other content, and tells others that this node waits for it, too. */
  async #watch(wait: OrderWait, lookAfterMs: number): Promise<void> {
    for (let pauseMs = lookAfterMs; ; pauseMs = LOOK_AGAIN_MS) {
      await sleep(pauseMs);
      if (wait.isOver || wait.isLeft || this.#executionOf(wait) !== undefined) return;
      if (this.#looks >= MAX_LOOKS) continue;
      this.#looks++;
      try {
        const latest = await this.#latest(wait.orderId);
        if (latest !== undefined && latest.ended === undefined && (await this.#settled(wait, latest))) return;
      } catch (error) {
        // Whether the engine answers at all is looked at elsewhere.
        if (!(error instanceof EngineUnreachable)) wait.fail(error);
      } finally {
        this.#looks--;
      }
    }
  }

  /** There is nothing more to look for. */
  async #settled(wait: OrderWait, running: AttemptState): Promise<boolean> {
    if (running.amount !== wait.request.amount) {
      // Before the cancel, whose effect may be heard of before its answer. One that has begun meanwhile ends as it ends.
      wait.conflicts = true;
      return await this.#cancelPending(wait);
    }
    if (running.token !== wait.request.token) {
      wait.joined = running;
      const joins: WaiterJoins = { attempt: running.token, token: wait.request.token };
      await this.#options.ingress.call({
        object: OBJECTS.waiters,
        key: wait.orderId,
        handler: "join",
        body: joins,
        timeoutMs: LOOK_TIMEOUT_MS,
      });
    }
    return true;
  }

  async #hangUp(wait: OrderWait, cause: CancelCause): Promise<void> {
    try {
      for (let tries = 0; tries < HANG_UP_TRIES && !wait.isOver; tries++) {
        if (await this.#canceled(wait, cause)) return;
        await sleep(LOOK_AGAIN_MS);
      }
    } catch (error) {
      // Its deadline ends it.
      this.#options.onFault("an order whose client hung up could not be canceled", error, { order_id: wait.orderId });
    }
  }

  async #canceled(wait: OrderWait, cause: CancelCause): Promise<boolean> {
    const { token, amount } = wait.request;
    const latest = await this.#latest(wait.orderId);
    if (latest === undefined || latest.ended !== undefined || latest.amount !== amount) return await this.#cancelPending(wait);
    const body: WaiterLeaves = { attempt: latest.token, token, invocationId: latest.invocationId, cause };
    await this.#options.ingress.call({
      object: OBJECTS.waiters,
      key: wait.orderId,
      handler: "leave",
      body,
      timeoutMs: LOOK_TIMEOUT_MS,
    });
    return true;
  }

  /** Takes its invocation out of the line of its order. False where it is not in line (any more). */
  async #cancelPending({ request: { orderId, amount } }: OrderWait): Promise<boolean> {
    const { admin } = this.#options;
    const rows = await admin.query<{ id: string }>(
      `SELECT id FROM sys_invocation WHERE target_service_name = '${OBJECTS.order}' AND target_service_key = ${sqlText(orderId)}` +
        ` AND target_handler_name = 'attempt' AND idempotency_key = '${amount}' AND status = 'pending'`,
      LOOK_TIMEOUT_MS,
    );
    for (const { id } of rows) await admin.cancel(id);
    return rows.length > 0;
  }

  async #latest(orderId: string): Promise<AttemptState | undefined> {
    const call = { object: OBJECTS.order, key: orderId, handler: "latest", timeoutMs: LOOK_TIMEOUT_MS };
    return (await this.#options.ingress.call<AttemptState | null>(call)) ?? undefined;
  }

  #executionOf(wait: OrderWait) {
    const execution = this.#options.executions.get(wait.orderId);
    return execution?.token === wait.request.token ? execution : undefined;
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
