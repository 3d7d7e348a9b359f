import { setImmediate as turn } from "node:timers/promises";
import { Journal } from "../../src/journal/journal.ts";
import { Compensator } from "../../src/orders/compensator.ts";
import { JournalUnavailable, type OrderJournal } from "../../src/orders/order-journal.ts";
import type { StepOutcome } from "../../src/orders/step.ts";
import { FirstTries } from "../orders/first-tries.ts";
import { FakeClock } from "../resilience/fake-clock.ts";
import { FakeRunner, type FakeStep } from "../threads/fake-runner.ts";

const TIMEOUT_MS = 600_000;

/** A provider's answer that says nothing was compensated. */
export function refused(answer: string, retryAfterMs?: number): StepOutcome {
  const unavailable = retryAfterMs === undefined ? {} : { unavailable: { retryAfterMs } };
  return { status: "failed", kind: "payment_unavailable", effect: "unknown", answer, ...unavailable };
}

/** A compensator between a real journal in memory and a runner that does as the test says, on a clock of its own. No jitter. */
export class Compensating implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly runner = new FakeRunner();
  readonly journal: Journal;
  readonly compensator: Compensator;
  readonly down: boolean[] = [];
  readonly faults: string[] = [];
  /** Whether the journal refuses to store how a try ended, while all else works. */
  refusesResults = false;
  #busy = 0;

  private constructor(journal: Journal) {
    this.journal = journal;
    const noted = async <T>(call: () => Promise<T>): Promise<T> => {
      this.#busy++;
      try {
        return await call();
      } finally {
        this.#busy--;
      }
    };
    const counting: Pick<OrderJournal, "takeCompensations" | "compensationTried"> = {
      takeCompensations: (step, kind, request) => noted(() => journal.takeCompensations(step, kind, request)),
      compensationTried: (tried, nowMs) =>
        noted(async () => {
          if (this.refusesResults) throw new JournalUnavailable("the disk is full");
          return journal.compensationTried(tried, nowMs);
        }),
    };
    this.compensator = new Compensator({
      runner: this.runner,
      journal: counting,
      clock: this.clock,
      timeoutMs: TIMEOUT_MS,
      random: () => 1,
      onDown: (_step, down) => void this.down.push(down),
      onFault: (message) => void this.faults.push(message),
    });
  }

  /** Started. */
  static async open(): Promise<Compensating> {
    const at = new Compensating(await Journal.open("memory"));
    at.compensator.start();
    return at;
  }

  /** The calls that refund, in order. */
  get refunds(): FakeStep[] {
    return this.runner.started;
  }

  refundsOf(orderId: string): FakeStep[] {
    return this.refunds.filter(({ input }) => input.orderId === orderId);
  }

  /** An order fails and leaves a payment to be refunded. Resolves when that is stored and its first try, if it has one now, is under way. */
  async fail(orderId: string): Promise<FirstTries> {
    const { clock, compensator, journal } = this;
    const nowMs = clock.nowMs();
    await journal.accept({ orderId, amount: 1, nowMs });
    const rows = compensator.plan(["payment"]);
    const answer = { error: "vendor_unavailable", json: "{}" } as const;
    const ids = await journal.finish({ orderId, attempt: 1, answer, answered: false, compensations: rows, nowMs });
    const tries = new FirstTries(compensator, { orderId, amount: 1, attempt: 1 }, rows, ids);
    await this.settle();
    return tries;
  }

  /** The order gets its answer, with what has come of its first try. */
  async answer(orderId: string, tries: FirstTries): Promise<void> {
    await this.settle();
    const tried = tries.answer();
    await this.journal.answer({ orderId, attempt: 1, json: "{}", answered: true, tried, nowMs: this.clock.nowMs() });
    this.compensator.stored(tried);
    await this.settle();
  }

  /** An order fails, and its first try ends so. */
  async failAndRefund(orderId: string, outcome: StepOutcome): Promise<void> {
    const tries = await this.fail(orderId);
    this.refundsOf(orderId).at(-1)?.end(outcome);
    await this.answer(orderId, tries);
  }

  /** Lets time pass, and what comes due on the way happen at its time. */
  async advance(ms: number): Promise<void> {
    const endMs = this.clock.nowMs() + ms;
    await this.settle();
    for (let nextMs = this.clock.nextMs; nextMs !== undefined && this.clock.nowMs() + nextMs <= endMs; nextMs = this.clock.nextMs) {
      this.clock.advance(nextMs);
      await this.settle();
    }
    this.clock.advance(endMs - this.clock.nowMs());
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    for (let idle = 0; idle < 10; idle = this.#busy === 0 ? idle + 1 : 0) await turn();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.refusesResults = false;
    await this.compensator.stop();
    await this.journal.close();
  }
}
