import { Capacity } from "../../src/concurrency/capacity.ts";
import type { AdmissionGate } from "../../src/orders/admission-gate.ts";
import { Compensator } from "../../src/orders/compensator.ts";
import { OrderDesk } from "../../src/orders/order-desk.ts";
import { Pipeline } from "../../src/orders/pipeline.ts";
import type { StepOutcome } from "../../src/orders/step.ts";
import { FakeRunner, type FakeStep } from "../threads/fake-runner.ts";
import { FakeJournal } from "./fake-journal.ts";

export interface DeskFixtureOptions {
  readonly maxInFlight?: number;
  /** What each call that undoes ends with at once; by default they go on until a test ends them. */
  readonly undo?: StepOutcome;
  readonly gate?: AdmissionGate;
}

/** A desk, open, with everything around it in memory: a runner and a journal that do as the test says. */
export class DeskFixture implements AsyncDisposable {
  readonly journal = new FakeJournal();
  readonly runner = new FakeRunner();
  readonly faults: string[] = [];
  readonly compensator: Compensator;
  readonly desk: OrderDesk;

  constructor({ maxInFlight = 10, undo, gate }: DeskFixtureOptions = {}) {
    const onFault = (message: string) => void this.faults.push(message);
    const { runner, journal } = this;
    if (undo !== undefined) runner.onStart = (step) => step.spec.action === "undo" && step.end(undo);
    const capacities = { payment: new Capacity(maxInFlight), vendor: new Capacity(maxInFlight), courier: new Capacity(maxInFlight) };
    this.compensator = new Compensator({ runner, journal, timeoutMs: 60_000, onFault });
    this.desk = new OrderDesk({
      pipeline: new Pipeline(runner, capacities),
      journal,
      compensator: this.compensator,
      orderTimeoutMs: 60_000,
      maxInFlight,
      ...(gate !== undefined && { gate }),
      onFault,
    });
    this.compensator.start();
    this.desk.open();
  }

  place(orderId = "o", amount = 1, signal?: AbortSignal) {
    return this.desk.place({ order: { orderId, amount }, ...(signal !== undefined && { signal }) });
  }

  steps(action: "do" | "undo", orderId = "o", attempt = 1): FakeStep[] {
    return this.runner.started.filter(
      ({ spec, input }) => spec.action === action && input.orderId === orderId && input.attempt === attempt,
    );
  }

  /** The steps of an order that were asked to be undone, sorted. */
  undone(orderId = "o", attempt = 1): string[] {
    return this.steps("undo", orderId, attempt)
      .map(({ spec }) => spec.name)
      .toSorted();
  }

  /** Ends the steps of an attempt that still run. */
  end(outcome: StepOutcome = { status: "ok" }, orderId = "o", attempt = 1): void {
    for (const step of this.steps("do", orderId, attempt)) step.end(outcome);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.desk.cancelAll("shutdown");
    await this.compensator.stop();
  }
}
