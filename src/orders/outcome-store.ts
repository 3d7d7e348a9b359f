import type { CancelScope } from "../concurrency/cancel-scope.ts";
import { type FinishRequest, JournalUnavailable, type OrderJournal, OutcomeUnknown, type StoredAnswer } from "./order-journal.ts";

export interface OutcomeStoreOptions {
  readonly journal: Pick<OrderJournal, "find" | "finish">;
  /** Canceled when the process cannot wait for the journal any longer; what is not stored is left to the next start. */
  readonly stop: CancelScope;
  readonly onFault?: (message: string, error: unknown) => void;
}

const STORE_AGAIN_MS = 500;

/** Stores how orders ended, however often it takes. Main thread only. */
export class OutcomeStore {
  readonly #options: OutcomeStoreOptions;

  constructor(options: OutcomeStoreOptions) {
    this.#options = options;
  }

  /**
   * While nobody knows whether the outcome is stored it is neither told nor undone but stored again: a placed order that is
   * durable must not be undone, nor told to have failed. Resolves with the answer that counts. Rejects with
   * `OutcomeUnknown` only after the stop; with anything else when the outcome surely is not stored.
   */
  async store(finish: FinishRequest): Promise<StoredAnswer> {
    let unknown: OutcomeUnknown | undefined;
    for (;;) {
      try {
        return await this.#options.journal.finish(finish);
      } catch (error) {
        if (error instanceof OutcomeUnknown) {
          if (unknown === undefined) this.#options.onFault?.("whether an outcome is stored is not known yet", error);
          unknown = error;
        }
        // That it cannot be written now says nothing about the time before; what the journal finds wrong with it does.
        if (unknown === undefined || !(error instanceof JournalUnavailable)) throw error;
      }
      if (this.#options.stop.cause !== undefined) throw unknown;
      await this.#pause();
    }
  }

  /** Stores an outcome that has been told already, as soon as the journal can. Resolves with false when the stop came first. */
  storeLater(finish: FinishRequest): Promise<boolean> {
    return this.#untilItWorks("an outcome can never be stored; the next start closes its order", () =>
      this.#options.journal.finish(finish),
    );
  }

  /**
   * After an accept that was refused and of which nobody knows whether it is stored: closes, with what `finishOf` makes
   * of it, the attempt that it may have left open and that never ran. Otherwise the id would count as running until the
   * next start.
   */
  async closeUnstarted(
    orderId: string,
    isRunning: (orderId: string) => boolean,
    finishOf: (attempt: number) => FinishRequest,
  ): Promise<void> {
    await this.#untilItWorks("an order that was refused may stay open until the next start", async () => {
      const latest = (await this.#options.journal.find(orderId))?.attempts.at(-1);
      if (latest === undefined || latest.ended !== undefined || isRunning(orderId)) return;
      // From the stop on, an attempt that does not run may have run all the same.
      if (this.#options.stop.cause !== undefined) return;
      await this.#options.journal.finish(finishOf(latest.attempt));
    });
  }

  /** Until it works or fails for good, which is logged: true. Until the stop: false. */
  async #untilItWorks(fault: string, work: () => Promise<unknown>): Promise<boolean> {
    for (;;) {
      await this.#pause();
      if (this.#options.stop.cause !== undefined) return false;
      try {
        await work();
        return true;
      } catch (error) {
        if (error instanceof JournalUnavailable) continue;
        this.#options.onFault?.(fault, error);
        return true;
      }
    }
  }

  /** Or until the stop. With jitter: requests that shared a batch which ends the journal's thread must not meet in one again. */
  #pause(): Promise<void> {
    const ms = STORE_AGAIN_MS * (0.5 + Math.random());
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        subscription.leave();
        resolve();
      }, ms);
      const subscription = this.#options.stop.onCancel(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
