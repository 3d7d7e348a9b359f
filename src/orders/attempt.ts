import { CancelScope, DEFAULT_PRIORITY, monotonicMs } from "../threads/index.ts";
import type { CancelCause } from "./cancel-cause.ts";
import type { OtherNodes } from "./elsewhere.ts";
import type { StoredAnswer } from "./order-journal.ts";
import type { OrderEntry } from "./order-map.ts";
import type { AttemptInput } from "./step.ts";

const ONCE = { once: true };

/** The request that began an attempt. */
export interface OrderOrigin {
  readonly requestId?: string;
  readonly parentSpanId?: string;
  /** When it asked for the order, on the clock of `monotonicMs`; absent: when its attempt begins. */
  readonly receivedAtMs?: number;
  /** Aborted when the client hangs up: the order is canceled when nobody waits for it any more. Made for this request alone. */
  readonly signal?: AbortSignal;
}

/** What those get who wait for an attempt. */
export interface GivenAnswer extends StoredAnswer {
  /** When the order may be sent again, as far as that is known. It is not stored, because it is not true any more when a repeat comes. */
  readonly retryAfterMs?: number;
}

/** One attempt at an order in flight, and who waits for it. */
export class Attempt implements OrderEntry {
  readonly scope = new CancelScope<CancelCause>();
  readonly input: AttemptInput;
  /** 0 (urgent) to 2 (background). */
  readonly priority: number;
  readonly answer: Promise<GivenAnswer>;
  /** For `OrderMap`. */
  nextInBucket: OrderEntry | undefined;
  /** Of the HTTP request that began it. */
  readonly requestId: string | undefined;
  /** The client's span, where `input.traceparent` names the order's own; undefined for the root of a trace. */
  readonly parentSpanId: string | undefined;
  /** When that request asked for it, on the clock of `monotonicMs`. */
  readonly receivedAtMs: number;
  /** On the clock of `monotonicMs`: when the journal was asked to accept it. Its time is counted from then on. */
  readonly askedAtMs: number;
  readonly #otherNodes: OtherNodes | undefined;
  /** No request may join it any more: its answer cannot be stored now, or is stored as one that nobody had. */
  isLost = false;
  /** Others have closed it: there is nothing to store any more. */
  isClosedElsewhere = false;
  #waiters = 0;
  /** While nobody waits here: whether somebody does at another node, as far as is known. */
  #isAwaitedElsewhere = false;
  #stopWatch: (() => void) | undefined;
  #isClosed = false;
  #closed: PromiseWithResolvers<void> | undefined;

  constructor(
    input: AttemptInput,
    origin: OrderOrigin,
    work: (attempt: Attempt) => Promise<GivenAnswer>,
    priority: number = DEFAULT_PRIORITY,
    otherNodes?: OtherNodes,
    askedAtMs: number = monotonicMs(),
  ) {
    this.input = input;
    this.priority = priority;
    // Keeps the fields and not the origin, which is a whole request: an order may wait for minutes.
    this.requestId = origin.requestId;
    this.parentSpanId = origin.parentSpanId;
    this.receivedAtMs = origin.receivedAtMs ?? askedAtMs;
    this.askedAtMs = askedAtMs;
    // Before the work begins: if the client has hung up already, no step must run, whoever may wait at another node.
    this.join(origin.signal);
    this.#otherNodes = otherNodes;
    this.answer = work(this);
  }

  get orderId(): string {
    return this.input.orderId;
  }

  /** Canceled by its clients or by a shutdown: no request may join it. */
  get canceledFromOutside(): boolean {
    return this.scope.cause === "client_disconnected" || this.scope.cause === "shutdown";
  }

  /** Whether somebody waits for its answer. While nobody waits here and other nodes have not replied: no. */
  get isAwaited(): boolean {
    return (this.#waiters > 0 || this.#isAwaitedElsewhere) && !this.isLost;
  }

  /** Others took this process for dead and have closed the attempt. Its steps are canceled, and nobody gets an answer. */
  closeElsewhere(): void {
    this.isClosedElsewhere = true;
    this.isLost = true;
    this.scope.cancel("shutdown");
  }

  get fields(): Readonly<Record<string, unknown>> {
    return { order_id: this.input.orderId, attempt: this.input.attempt, request_id: this.requestId };
  }

  /** Resolves when the attempt is closed in the journal, or never will be by this process: until then no new one can begin. */
  get closed(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    this.#closed ??= Promise.withResolvers();
    return this.#closed.promise;
  }

  close(): void {
    this.#isClosed = true;
    this.#unwatch();
    this.#closed?.resolve();
  }

  /** A request waits for the answer until `signal` is aborted: then `onLeft` is called, and the order canceled if nobody is left. */
  join(signal: AbortSignal | undefined, onLeft?: () => void): void {
    this.#waiters++;
    this.#unwatch();
    const leave = () => {
      this.#waiters--;
      if (this.#waiters === 0) this.#abandon();
      onLeft?.();
    };
    // The listener ends with the signal, which belongs to one request.
    if (signal?.aborted) leave();
    else signal?.addEventListener("abort", leave, ONCE);
  }

  /** Nobody here waits any more: cancels the order, or first asks whether somebody waits at another node. */
  #abandon(): void {
    // Has no effect when the order has ended.
    if (this.#otherNodes === undefined) this.scope.cancel("client_disconnected");
    else if (!this.#isClosed && !this.isLost) this.#stopWatch = this.#watch(this.#otherNodes);
  }

  #watch(otherNodes: OtherNodes): () => void {
    return otherNodes.watchWaiters(this.orderId, this.input.attempt, (isAwaitedElsewhere) => {
      this.#isAwaitedElsewhere = isAwaitedElsewhere;
      if (!isAwaitedElsewhere) this.scope.cancel("client_disconnected");
    });
  }

  #unwatch(): void {
    this.#stopWatch?.();
    this.#stopWatch = undefined;
    this.#isAwaitedElsewhere = false;
  }
}
