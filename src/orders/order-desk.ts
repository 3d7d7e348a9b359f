import type { CancelCause } from "../concurrency/cancel-cause.ts";
import { CancelScope } from "../concurrency/cancel-scope.ts";
import { answerTo } from "./answer.ts";
import type { Order } from "./order.ts";
import {
  type FinishRequest,
  type IdempotencyKey,
  JournalUnavailable,
  type OrderJournal,
  OutcomeUnknown,
  type StoredAnswer,
} from "./order-journal.ts";
import { OrderRun } from "./order-run.ts";
import { OrderRuns } from "./order-runs.ts";
import { failedByFault, type OrderOutcome, stepsToUndo } from "./outcome.ts";
import { OutcomeStore } from "./outcome-store.ts";
import type { Pipeline } from "./pipeline.ts";
import { Refused } from "./refused.ts";
import type { Effect, StepInput } from "./step.ts";
import type { Undoing, UndoRun } from "./undoing.ts";

export interface OrderDeskOptions {
  readonly pipeline: Pipeline;
  readonly journal: OrderJournal;
  readonly undoing: Undoing;
  readonly orderTimeoutMs: number;
  readonly maxInFlight: number;
  /** An attempt and its events have been stored. */
  readonly onStored?: () => void;
  readonly onFault?: (message: string, error: unknown) => void;
}

/** An order and who asks for it. */
export interface PlaceRequest {
  readonly order: Order;
  readonly key?: IdempotencyKey;
  readonly traceparent?: string;
}

/** What a client that placed an order waits for. */
export interface Placement {
  /** Rejects with `OutcomeUnknown` when the server is stopped before the journal can say how the order ended. */
  readonly answer: Promise<StoredAnswer>;
  /** The answer was stored by an earlier request. */
  readonly replayed: boolean;
  /** The client is gone. The order is canceled when nobody waits for it any more. */
  leave(): void;
}

// How long an answer waits for undoing, which mostly takes one call; a provider that is down is not waited for.
const WAIT_FOR_UNDO_MS = 500;
// The journal is asked again where an attempt ended in between, which cannot happen many times in a row.
const MAX_LOOKS = 20;

/** Where orders come in: admission, identity, the scope of each order, and the drain at the end. Main thread only. */
export class OrderDesk {
  readonly #options: OrderDeskOptions;
  readonly #runs: OrderRuns;
  readonly #stop = new CancelScope();
  readonly #store: OutcomeStore;
  #state: "starting" | "open" | "draining" = "starting";
  #admitted = 0;
  #drained: (() => void) | undefined;

  constructor(options: OrderDeskOptions) {
    this.#options = options;
    const { journal, onFault, maxInFlight } = options;
    this.#runs = new OrderRuns(maxInFlight);
    this.#store = new OutcomeStore({ journal, stop: this.#stop, ...(onFault !== undefined && { onFault }) });
  }

  /** Orders admitted and not ended. */
  get inFlight(): number {
    return this.#admitted;
  }

  /** From now on orders are taken in; recovery is over. */
  open(): void {
    if (this.#state === "starting") this.#state = "open";
  }

  /**
   * Takes in an order, joins the attempt that runs, or finds its stored answer. Throws `Refused` with `overloaded`,
   * `shutting_down`, `order_conflict`, `idempotency_mismatch`, or `internal` when it cannot be written down; then
   * nothing has run.
   */
  async place(request: PlaceRequest): Promise<Placement> {
    // Before recovery has closed what a crash left open, the journal would take a dead attempt for a running one.
    if (this.#state === "starting") throw new Refused("overloaded", "the server is starting");
    if (this.#state === "draining") throw new Refused("shutting_down", "the server is shutting down");
    if (this.#admitted >= this.#options.maxInFlight) throw new Refused("overloaded", "too many orders in flight");
    this.#admitted++;
    let started = false;
    try {
      for (let looks = 0; looks < MAX_LOOKS; looks++) {
        const { orderId, amount } = request.order;
        const { key } = request;
        const accepted = await this.#options.journal.accept({ orderId, amount, nowMs: Date.now(), ...(key !== undefined && { key }) });
        switch (accepted.type) {
          case "accepted": {
            const placement = this.#start(inputOf(request, accepted.attempt));
            started = true;
            return placement;
          }
          case "replayed":
            return { answer: Promise.resolve(accepted.answer), replayed: true, leave() {} };
          case "conflict":
            throw new Refused("order_conflict", "order_id: this order is already placed with another amount");
          case "mismatch":
            throw new Refused("idempotency_mismatch", "Idempotency-Key: this key was used with another body");
          case "running": {
            const run = this.#runs.get(accepted.orderId);
            // It may have ended between the journal's look and this one: ask again.
            if (run !== undefined) return { answer: run.answer, replayed: false, leave: run.join() };
          }
        }
      }
      // It is open in the journal and nobody runs it: what an accept that was refused may have left, for a moment.
      throw new Refused("internal", "the order cannot be looked up");
    } catch (error) {
      if (!(error instanceof JournalUnavailable)) throw error;
      this.#options.onFault?.("order refused: it could not be written down", error);
      if (error instanceof OutcomeUnknown) void this.#closeUnstarted(request.order.orderId);
      throw new Refused("internal", "the order could not be written down");
    } finally {
      if (!started) this.#ended();
    }
  }

  /** Takes no more orders and resolves when those in flight have been answered. */
  async drain(): Promise<void> {
    this.#state = "draining";
    if (this.#admitted > 0) await new Promise<void>((resolve) => (this.#drained = resolve));
    this.#stop.cancel("shutdown");
  }

  /** Cancels every order in flight, and gives up on storing what the journal cannot take: the next start settles it. */
  cancelAll(cause: CancelCause): void {
    for (const run of this.#runs.all()) run.scope.cancel(cause);
    this.#stop.cancel(cause);
  }

  #start(input: StepInput): Placement {
    const run = new OrderRun(input, (self) => this.#run(self));
    this.#runs.add(run);
    return { answer: run.answer, replayed: false, leave: run.join() };
  }

  #run(run: OrderRun): Promise<StoredAnswer> {
    const { input, scope } = run;
    // An order that was being written down when everything was canceled has missed that.
    if (this.#stop.cause !== undefined) scope.cancel(this.#stop.cause);
    const stopTimer = scope.cancelAfter(this.#options.orderTimeoutMs);
    const finish = (outcome: OrderOutcome) => {
      stopTimer();
      return this.#finish(run, outcome);
    };
    const fail = (error: unknown, effect: Effect) => {
      this.#options.onFault?.("an order could not be run to its end", error);
      return finish(failedByFault(effect));
    };
    try {
      return this.#options.pipeline.run(input, scope).then(finish, (error: unknown) => fail(error, "unknown"));
    } catch (error) {
      return fail(error, "none");
    }
  }

  /** All steps have ended: undoes what has to be undone and stores how the order ended. */
  async #finish(run: OrderRun, outcome: OrderOutcome): Promise<StoredAnswer> {
    const { input } = run;
    const undo = outcome.error === undefined ? undefined : await this.#undo(input, outcome);
    const finish = finishOf(input, outcome, undo);
    let stored: StoredAnswer;
    try {
      stored = await this.#store.store(finish);
    } catch (error) {
      if (error instanceof OutcomeUnknown) {
        this.#close(run);
        throw error;
      }
      this.#options.onFault?.("an outcome could not be stored; its order fails and is undone", error);
      return this.#failUnstored(run, outcome, undo);
    }
    undo?.stored(finish.undos);
    this.#close(run);
    if (outcome.error === undefined && stored.error !== undefined) this.#undoOverruled(run, outcome);
    return stored;
  }

  /** A bug has closed the attempt as failed while it ran; the answer stands, so what it did must not. */
  #undoOverruled({ input }: OrderRun, { steps }: OrderOutcome): void {
    this.#options.onFault?.("a placed order had been closed as failed; it is undone", new Error(`order ${JSON.stringify(input.orderId)}`));
    this.#options.undoing.begin(input, stepsToUndo(steps)).stored([]);
  }

  /** Undoes what a failed order did. Waits for the first tries, but not for long. */
  async #undo(input: StepInput, { steps }: OrderOutcome): Promise<UndoRun | undefined> {
    const toUndo = stepsToUndo(steps);
    if (toUndo.length === 0) return undefined;
    const undo = this.#options.undoing.begin(input, toUndo);
    await atMost(undo.firstTries, WAIT_FOR_UNDO_MS);
    return undo;
  }

  /**
   * An outcome that is not stored must not be told, or a restart would tell another. So the order fails as `internal`,
   * what it did is undone, and that is stored as soon as the journal can; if the process ends before, its next start
   * does the same, and writes the same answer, in which no step has an end of its own.
   */
  async #failUnstored(run: OrderRun, outcome: OrderOutcome, begun: UndoRun | undefined): Promise<StoredAnswer> {
    const undo = begun ?? (await this.#undo(run.input, outcome));
    const finish = finishOf(run.input, failedByFault("unknown"), undo);
    void this.#storeLater(run, finish, undo);
    return finish.answer;
  }

  async #storeLater(run: OrderRun, finish: FinishRequest, undo: UndoRun | undefined): Promise<void> {
    if (await this.#store.storeLater(finish)) undo?.stored(finish.undos);
    this.#close(run);
  }

  async #closeUnstarted(orderId: string): Promise<void> {
    await this.#store.closeUnstarted(
      orderId,
      (id) => this.#runs.get(id) !== undefined,
      (attempt) => finishOf({ orderId, attempt }, failedByFault("none"), undefined),
    );
    this.#options.onStored?.();
  }

  #close(run: OrderRun): void {
    // This very run: a repeat of an order that failed may have been accepted in the same commit, and be running by now.
    this.#runs.remove(run);
    this.#options.onStored?.();
    this.#ended();
  }

  #ended(): void {
    this.#admitted--;
    if (this.#state === "draining" && this.#admitted === 0) this.#drained?.();
  }
}

function inputOf({ order, traceparent }: PlaceRequest, attempt: number): StepInput {
  const { orderId, amount, simulation } = order;
  return { orderId, amount, attempt, ...(traceparent !== undefined && { traceparent }), ...(simulation !== undefined && { simulation }) };
}

function finishOf(
  { orderId, attempt }: Pick<StepInput, "orderId" | "attempt">,
  outcome: OrderOutcome,
  undo: UndoRun | undefined,
): FinishRequest {
  const undos = undo?.states() ?? [];
  const json = JSON.stringify(answerTo(orderId, outcome, undos));
  const answer = outcome.error === undefined ? { json } : { error: outcome.error, json };
  return { orderId, attempt, answer, undos, nowMs: Date.now() };
}

async function atMost(work: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([work, limit]);
  clearTimeout(timer);
}
