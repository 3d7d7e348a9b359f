import type { AdmissionGate } from "../../src/orders/admission-gate.ts";
import { Compensator } from "../../src/orders/compensator.ts";
import type { OtherNodes } from "../../src/orders/elsewhere.ts";
import { OrderService } from "../../src/orders/order-service.ts";
import { Pipeline } from "../../src/orders/pipeline.ts";
import type { StepOutcome } from "../../src/orders/step.ts";
import { perStep } from "../../src/orders/steps.ts";
import { Capacity } from "../../src/threads/index.ts";
import { FakeRunner, type FakeStep } from "../threads/fake-runner.ts";
import { settle } from "./compensator-fixture.ts";
import { FakeJournal } from "./fake-journal.ts";

export interface OrderServiceFixtureOptions {
  readonly maxInFlight?: number;
  readonly orderTimeoutMs?: number;
  /** What each compensation ends with at once; by default they go on until a test ends them. */
  readonly compensate?: StepOutcome;
  readonly gate?: AdmissionGate;
  readonly otherNodes?: OtherNodes;
  /** Two nodes have one. */
  readonly journal?: FakeJournal;
}

/** An order service, open, with everything around it in memory: a runner and a journal that do as the test says. */
export class OrderServiceFixture implements AsyncDisposable {
  readonly journal: FakeJournal;
  readonly runner = new FakeRunner();
  readonly faults: string[] = [];
  readonly compensator: Compensator;
  readonly orderService: OrderService;

  constructor(options: OrderServiceFixtureOptions = {}) {
    const { maxInFlight = 10, orderTimeoutMs = 60_000, compensate, gate, otherNodes } = options;
    this.journal = options.journal ?? new FakeJournal();
    const onFault = (message: string) => void this.faults.push(message);
    const { runner, journal } = this;
    if (compensate !== undefined) runner.onStart = (step) => step.spec.action === "compensate" && step.end(compensate);
    const capacities = perStep(() => new Capacity(maxInFlight));
    this.compensator = new Compensator({ runner, journal, timeoutMs: 60_000, onFault });
    this.orderService = new OrderService({
      pipeline: new Pipeline(runner, capacities),
      journal,
      compensator: this.compensator,
      orderTimeoutMs,
      maxInFlight,
      ...(gate !== undefined && { gate }),
      ...(otherNodes !== undefined && { otherNodes }),
      onFault,
    });
    this.compensator.start();
    this.orderService.open();
  }

  place(orderId = "o", amount = 1, signal?: AbortSignal) {
    return this.orderService.place({ order: { orderId, amount }, ...(signal !== undefined && { signal }) });
  }

  steps(action: "perform" | "compensate", orderId = "o", attempt = 1): FakeStep[] {
    return this.runner.started.filter(
      ({ spec, input }) => spec.action === action && input.orderId === orderId && input.attempt === attempt,
    );
  }

  /** The steps of an order that were asked to be compensated, sorted. */
  compensated(orderId = "o", attempt = 1): string[] {
    return this.steps("compensate", orderId, attempt)
      .map(({ spec }) => spec.name)
      .toSorted();
  }

  /** Ends the steps of an attempt that still run. */
  end(outcome: StepOutcome = { status: "ok" }, orderId = "o", attempt = 1): void {
    for (const step of this.steps("perform", orderId, attempt)) step.end(outcome);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.orderService.cancelAll("shutdown");
    await this.compensator.stop();
  }
}

/** A definite no of the courier. */
export const REFUSED: StepOutcome = { status: "failed", kind: "no_courier", effect: "none" };
/** A call that was cut off with its order. */
export const CUT_OFF: StepOutcome = { status: "canceled", cause: "sibling_failed", effect: "unknown" };

/** The courier says no to an order; the others end so. */
export function refuse(at: OrderServiceFixture, others: StepOutcome = CUT_OFF): void {
  for (const step of at.steps("perform")) if (step.spec.name !== "courier") step.end(others);
  at.steps("perform")
    .find(({ spec }) => spec.name === "courier")
    ?.end(REFUSED);
}

/** Whether a promise has ended by now. */
export async function hasEnded(promise: Promise<unknown>): Promise<boolean> {
  let ended = false;
  const end = () => {
    ended = true;
  };
  promise.then(end, end);
  await settle();
  return ended;
}
