import { DEFAULT_PRIORITY, monotonicMs } from "../threads/index.ts";
import type { AdmissionGate } from "./admission-gate.ts";
import { Attempt, type GivenAnswer, type OrderOrigin } from "./attempt.ts";
import { AttemptRunner, type AttemptRunnerOptions } from "./attempt-runner.ts";
import type { CancelCause } from "./cancel-cause.ts";
import { Elsewhere, type OtherNodes } from "./elsewhere.ts";
import { InFlight } from "./in-flight.ts";
import { type AcceptResult, type IdempotencyKey, JournalUnavailable, JournalUnreachable, type OrderJournal } from "./order-journal.ts";
import { type Arriving, OrderMap } from "./order-map.ts";
import { computingSteps } from "./pipeline.ts";
import { Refused } from "./refused.ts";
import type { AttemptInput, Order } from "./step.ts";

export interface OrderServiceOptions extends Omit<AttemptRunnerOptions, "onClosed"> {
  readonly journal: Pick<OrderJournal, "accept" | "finish" | "answer">;
  readonly maxInFlight: number;
  /** Absent: `maxInFlight` is the only limit. */
  readonly gate?: AdmissionGate;
  /** Absent where no other node has the same journal. */
  readonly otherNodes?: OtherNodes;
  /** An attempt and its events have been stored. */
  readonly onStored?: () => void;
}

/** An order and who asks for it. */
export interface PlaceRequest extends OrderOrigin {
  readonly order: Order;
  readonly key?: IdempotencyKey;
  /** 0 (urgent), 1 where nothing is said, or 2 (background). */
  readonly priority?: number;
  /** The trace context that the steps' calls carry. It names the order's own span where there is one. */
  readonly traceparent?: string;
}

/** What a client that placed an order waits for. */
export interface Placement {
  /** Rejects with `AnswerLost` where it cannot be stored. */
  readonly answer: Promise<GivenAnswer>;
  /** Whether an earlier request stored the answer. */
  readonly replayed: boolean;
}

const HELD =
  "order_id: this order is held since a restore of the journal, until an operator confirms it with POST /restore/confirm on the admin listener";
// How often the journal is asked. It is asked again when an attempt has ended meanwhile, which cannot happen many times in a row.
const MAX_ASKED = 20;
// As many orders as are being stored at one time under load. More only make a look-up longer.
const ARRIVING = 1_024;

/** Takes in orders: admission, identity, who waits for which attempt, and the drain at the end. Main thread only. */
export class OrderService {
  readonly #options: OrderServiceOptions;
  readonly #attempts: OrderMap<Attempt>;
  readonly #arriving = new OrderMap<Arriving>(ARRIVING);
  readonly #runner: AttemptRunner;
  readonly #work = (attempt: Attempt) => this.#runner.run(attempt);
  readonly #inFlight: InFlight;
  readonly #elsewhere: Elsewhere | undefined;

  constructor(options: OrderServiceOptions) {
    this.#options = options;
    this.#attempts = new OrderMap(options.maxInFlight);
    this.#inFlight = new InFlight(options.maxInFlight);
    this.#runner = new AttemptRunner({ ...options, onClosed: (attempt) => this.#closed(attempt) });
    this.#elsewhere = options.otherNodes && new Elsewhere(options.otherNodes, options.orderTimeoutMs);
  }

  /** Requests admitted and not ended: orders that run, and requests that wait for the answer of one. */
  get inFlight(): number {
    return this.#inFlight.count;
  }

  /** The log fields of an order that runs; none for any other. */
  fieldsOf(orderId: unknown): Readonly<Record<string, unknown>> {
    return (typeof orderId === "string" ? this.#attempts.get(orderId)?.fields : undefined) ?? {};
  }

  /** From now on orders are taken: recovery is over. */
  open(): void {
    this.#inFlight.open();
  }

  /**
   * Starts an attempt at an order, joins the attempt that runs, here or on another node, or finds the stored answer. Throws `Refused` when
   * nothing was run.
   */
  async place(request: PlaceRequest): Promise<Placement> {
    this.#inFlight.refuseUnlessOpen();
    const { gate } = this.#options;
    if (this.#inFlight.isFull) throw new Refused("overloaded", "too many orders in flight", gate?.full());
    const arriving = gate === undefined || this.#isHere(request.order.orderId) ? undefined : this.#admit(gate, request);
    this.#inFlight.enter();
    let keepsPlace = false;
    try {
      const placement = await this.#place(request, arriving);
      keepsPlace = !placement.replayed;
      return placement;
    } catch (error) {
      if (error instanceof JournalUnreachable) throw new Refused("overloaded", "the journal cannot be reached", 1);
      if (!(error instanceof JournalUnavailable)) throw error;
      const fields = { order_id: request.order.orderId, request_id: request.requestId };
      this.#options.onFault?.("order refused: it could not be written down", error, fields);
      throw new Refused("internal", "the order could not be written down");
    } finally {
      if (!keepsPlace) this.#inFlight.leave();
    }
  }

  /** Takes no more orders and resolves when those in flight have been answered. */
  async drain(): Promise<void> {
    await this.#inFlight.drain();
    this.#runner.stop();
  }

  /** Cancels every order in flight. Outcomes that the journal cannot store are left to the next start. */
  cancelAll(cause: CancelCause): void {
    for (const attempt of this.#attempts.all()) attempt.scope.cancel(cause);
    this.#elsewhere?.cancelAll(cause);
    this.#runner.stop();
  }

  /** Others took this process for dead, and have closed the orders that run here. Cancels their steps. Returns how many there were. */
  closedElsewhere(): number {
    return this.#attempts.all().map((attempt) => attempt.closeElsewhere()).length;
  }

  /** Whether an order runs here or is about to, so that a request for it starts no work. The journal must not be asked under overload. */
  #isHere(orderId: string): boolean {
    return this.#attempts.get(orderId) !== undefined || this.#arriving.get(orderId) !== undefined;
  }

  #admit(gate: AdmissionGate, { order, priority = DEFAULT_PRIORITY }: PlaceRequest): Arriving {
    const computing = computingSteps(order);
    const overload = gate.admit(priority, computing);
    if (overload !== undefined) throw new Refused("overloaded", overload.message, overload.retryAfterSeconds);
    const arriving = { orderId: order.orderId, priority, computing, nextInBucket: undefined };
    this.#arriving.add(arriving);
    return arriving;
  }

  /** Runs in the turn of the event loop in which the steps start, so that admission counts the order exactly once. */
  #arrived(arriving: Arriving): void {
    this.#arriving.remove(arriving);
    this.#options.gate?.arrived(arriving.priority, arriving.computing);
  }

  async #place(request: PlaceRequest, arriving: Arriving | undefined): Promise<Placement> {
    const { key } = request;
    const { orderId, amount } = request.order;
    let askedAtMs = request.receivedAtMs ?? monotonicMs();
    for (let asked = 0; asked < MAX_ASKED; asked++) {
      let accepted: AcceptResult;
      try {
        accepted = await this.#options.journal.accept({ orderId, amount, nowMs: Date.now(), ...(key !== undefined && { key }) });
      } finally {
        if (asked === 0 && arriving !== undefined) this.#arrived(arriving);
      }
      switch (accepted.type) {
        case "accepted":
          return this.#start(request, accepted.attempt, askedAtMs);
        case "replayed":
          return { answer: Promise.resolve(accepted.answer), replayed: true };
        case "conflict":
          throw new Refused("order_conflict", "order_id: this order is already placed with another amount");
        case "held":
          throw new Refused("order_conflict", HELD);
        case "mismatch":
          throw new Refused("idempotency_mismatch", "Idempotency-Key: this key was used with another body");
        case "running": {
          const attempt = this.#attempts.get(accepted.orderId);
          if (attempt?.input.attempt !== accepted.attempt) {
            // Another node has it, or it was closed since the journal answered.
            const answer = await this.#elsewhere?.endOf(accepted.orderId, accepted.attempt, request.signal);
            if (answer !== undefined) {
              // The place of what is no replay ends with its attempt, which has ended.
              this.#inFlight.leave();
              return { answer: Promise.resolve(answer), replayed: false };
            }
          } else if (attempt.canceledFromOutside || attempt.isLost) await attempt.closed;
          else return this.#join(attempt, request.signal);
          // Nobody received its answer, which frees the order.
          this.#inFlight.refuseUnlessOpen();
          askedAtMs = monotonicMs();
        }
      }
    }
    // The journal has it as running and nobody runs it: its outcome could never be stored.
    throw new Refused("internal", "the order cannot be looked up");
  }

  #start(request: PlaceRequest, number: number, askedAtMs: number): Placement {
    const attempt = new Attempt(attemptInput(request, number), request, this.#work, request.priority, this.#options.otherNodes, askedAtMs);
    this.#attempts.add(attempt);
    return { answer: attempt.answer, replayed: false };
  }

  /** A request that joins counts as one in flight, until the answer or its hang-up. */
  #join(attempt: Attempt, signal: AbortSignal | undefined): Placement {
    let here = true;
    const end = () => {
      if (here) this.#inFlight.leave();
      here = false;
    };
    attempt.join(signal, end);
    attempt.answer.then(end, end);
    return { answer: attempt.answer, replayed: false };
  }

  #closed(attempt: Attempt): void {
    // Removes this one only: a new attempt at the order may have been accepted in the same commit, and be running by now.
    this.#attempts.remove(attempt);
    attempt.close();
    this.#options.onStored?.();
    this.#inFlight.leave();
  }
}

function attemptInput({ order, traceparent }: PlaceRequest, attempt: number): AttemptInput {
  const { orderId, amount, simulation } = order;
  return { orderId, amount, attempt, ...(traceparent !== undefined && { traceparent }), ...(simulation !== undefined && { simulation }) };
}
