import { setImmediate as turn } from "node:timers/promises";
import { expect } from "vitest";
import { Compensator, type CompensatorOptions } from "../../src/orders/compensator.ts";
import type { NewCompensation } from "../../src/orders/order-journal.ts";
import { ProviderHealth } from "../../src/orders/provider-health.ts";
import type { AttemptInput, StepOutcome } from "../../src/orders/step.ts";
import type { StepName } from "../../src/orders/steps.ts";
import { timers } from "../leaks/timers.ts";
import { FakeClock } from "../resilience/fake-clock.ts";
import { eventually } from "../support/eventually.ts";
import { FakeRunner, type FakeStep } from "../threads/fake-runner.ts";
import { FakeJournal } from "./fake-journal.ts";
import { FirstTries } from "./first-tries.ts";

export const OK: StepOutcome = { status: "ok" };
/** What a provider answers, as a step tells it. */
export const answered = (status: number, retryAfterMs?: number): StepOutcome => ({
  status: "failed",
  kind: "internal",
  effect: "unknown",
  answer: `HTTP ${status}`,
  ...(retryAfterMs !== undefined && { unavailable: { retryAfterMs } }),
});
export const NO = answered(500);
export const TIMEOUT_MS = 60_000;

export const inputOf = (orderId: string, attempt = 1): AttemptInput => ({ orderId, amount: 7, attempt });

/** A compensator between a runner and a journal that do as the test says. Its end looks for what it has left behind. */
export class CompensatorFixture implements AsyncDisposable {
  readonly runner = new FakeRunner();
  readonly journal = new FakeJournal();
  readonly clock = new FakeClock();
  /** Of the vendor alone: the others' calls are simulated. */
  readonly vendor = new ProviderHealth({ random: () => 1 });
  readonly faults: string[] = [];
  /** `vendor down`, `vendor up`. */
  readonly changes: string[] = [];
  stored = 0;
  readonly compensator: Compensator;
  readonly #timersBefore = timers();

  constructor(options: Partial<CompensatorOptions> = {}) {
    this.compensator = new Compensator({
      runner: this.runner,
      journal: this.journal,
      clock: this.clock,
      timeoutMs: TIMEOUT_MS,
      random: () => 1,
      providers: { vendor: this.vendor },
      onStored: () => this.stored++,
      onDown: (step, isDown) => void this.changes.push(`${step} ${isDown ? "down" : "up"}`),
      onFault: (message) => void this.faults.push(message),
      ...options,
    });
  }

  calls(step: StepName): FakeStep[] {
    return this.runner.started.filter(({ spec }) => spec.name === step);
  }

  last(step: StepName): FakeStep {
    return this.calls(step).at(-1) as FakeStep;
  }

  /** Ends the last call to a provider, and lets everything happen that follows at once. */
  async end(step: StepName, outcome: StepOutcome): Promise<void> {
    this.last(step).end(outcome);
    await settle();
  }

  /** Stores an attempt that failed with these steps to compensate, and begins the first tries that the plan has. */
  async fail(orderId: string, steps: readonly StepName[]): Promise<{ rows: readonly NewCompensation[]; tries: FirstTries }> {
    const { journal, compensator } = this;
    const rows = compensator.plan(steps);
    const accepted = await journal.accept({ orderId, amount: 7, nowMs: 0 });
    const attempt = accepted.type === "accepted" ? accepted.attempt : 1;
    const answer = { error: "internal", json: "" } as const;
    const nowMs = this.clock.nowMs();
    const ids = await journal.finish({ orderId, attempt, answer, answered: false, compensations: rows, nowMs });
    const tries = new FirstTries(compensator, inputOf(orderId, attempt), rows, ids);
    return { rows, tries };
  }

  /** Stores the answer with what has come of the first tries. */
  async answer(orderId: string, tries: FirstTries): Promise<void> {
    const tried = tries.answer();
    await this.journal.answer({ orderId, attempt: 1, json: "", answered: true, tried, nowMs: this.clock.nowMs() });
    this.compensator.stored(tried);
  }

  /** An order whose first tries at a provider end so, with its answer. */
  async failAndTry(orderId: string, step: StepName, outcome: StepOutcome): Promise<void> {
    const before = this.calls(step).length;
    const { tries } = await this.fail(orderId, [step]);
    await settle();
    if (this.calls(step).length > before) this.last(step).end(outcome);
    await settle();
    await this.answer(orderId, tries);
  }

  /** Has five orders fail at a provider, so that it counts as down. */
  async takeDown(step: StepName, outcome: StepOutcome = NO): Promise<void> {
    for (let n = 0; n < 5; n++) await this.failAndTry(`dead-${n}`, step, outcome);
    expect(this.changes).toEqual([`${step} down`]);
  }

  /** Lets time pass in small steps, and lets everything happen meanwhile. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 50) {
      this.clock.advance(Math.min(50, left));
      await settle();
    }
  }

  /** Ends all calls to a provider as they come, until every row of it is done. */
  async drainRows(step: StepName): Promise<void> {
    await eventually(`all rows of ${step} to be done`, async () => {
      for (const call of this.calls(step)) call.end(OK);
      await settle();
      this.clock.advance(1_000);
      return this.journal.rows.every((row) => row.step !== step || row.status === "done");
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { compensator, runner, clock } = this;
    await compensator.stop();
    expect([compensator.inFlight, runner.running, runner.opened - runner.closed, clock.timers]).toEqual([0, 0, 0, 0]);
    expect(timers()).toBe(this.#timersBefore);
  }
}

/** Lets everything happen that needs no time. */
export async function settle(): Promise<void> {
  for (let n = 0; n < 5; n++) await turn();
}
