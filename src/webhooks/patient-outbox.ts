import { Canceled } from "../concurrency/cancel-cause.ts";
import type { CancelScope } from "../concurrency/cancel-scope.ts";
import { type Growth, growingPauseMs } from "../concurrency/growing-pause.ts";
import type { EventOutbox, OrderEvent } from "../orders/order-event.ts";
import { JournalUnavailable } from "../orders/order-journal.ts";
import type { DeliveryClock } from "./delivery-clock.ts";
import type { DeliveryLog } from "./delivery-log.ts";

export interface PatientOutboxOptions {
  readonly outbox: EventOutbox;
  /** Ends every wait. */
  readonly scope: CancelScope;
  readonly log: DeliveryLog;
  readonly clock: DeliveryClock;
  readonly random: () => number;
  /** The outbox works again. */
  readonly onResume: () => void;
}

interface Mark {
  readonly seq: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

// Short at first, for a lock that passes; a full disk is looked at every few seconds, which costs nothing.
const PAUSE: Growth = { baseMs: 100, capMs: 5_000 };
// Keeps the transaction, and with it what other writers of the journal wait for, short.
const MARKS_A_WRITE = 500;

/**
 * The outbox for callers that can wait: while the journal is unavailable a call is tried again until it works. Rejects
 * with `Canceled` only after the scope was canceled; even then each call is tried once.
 */
export class PatientOutbox {
  readonly #options: PatientOutboxOptions;
  #stalled = 0;
  #marks: Mark[] = [];
  #writing = false;

  constructor(options: PatientOutboxOptions) {
    this.#options = options;
  }

  /** Whether some call waits for the journal to come back. */
  get stalled(): boolean {
    return this.#stalled > 0;
  }

  undelivered(afterSeq: number, limit: number): Promise<OrderEvent[]> {
    return this.#patiently(() => this.#options.outbox.undelivered(afterSeq, limit));
  }

  giveUp(seq: number, reason: string, nowMs: number): Promise<void> {
    return this.#patiently(() => this.#options.outbox.giveUp(seq, reason, nowMs));
  }

  /** Resolves when it is durable. What arrives while a write is under way goes into the next one. */
  delivered(seq: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#marks.push({ seq, resolve, reject });
      if (!this.#writing) void this.#write();
    });
  }

  async #write(): Promise<void> {
    this.#writing = true;
    while (this.#marks.length > 0) {
      const marks = this.#marks.splice(0, MARKS_A_WRITE);
      try {
        await this.#patiently(() => this.#options.outbox.delivered(marks.map(({ seq }) => seq)));
        for (const { resolve } of marks) resolve();
      } catch (error) {
        for (const { reject } of marks) reject(error);
      }
    }
    this.#writing = false;
  }

  async #patiently<T>(call: () => Promise<T>): Promise<T> {
    const { scope, random } = this.#options;
    for (let failures = 0; ; ) {
      try {
        const value = await call();
        if (failures > 0) this.#resume();
        return value;
      } catch (error) {
        failures++;
        if (failures === 1) this.#stall(error);
        if (scope.cause !== undefined) throw new Canceled(scope.cause);
        await this.#pause(growingPauseMs(failures, PAUSE, random));
      }
    }
  }

  #stall(error: unknown): void {
    this.#stalled++;
    if (this.#stalled > 1) return;
    const level = error instanceof JournalUnavailable ? "warn" : "error";
    this.#options.log[level]({ err: error }, "the outbox cannot be used: webhook delivery waits for it");
  }

  #resume(): void {
    this.#stalled--;
    if (this.#stalled > 0) return;
    this.#options.log.info({}, "the outbox can be used again");
    this.#options.onResume();
  }

  #pause(pauseMs: number): Promise<void> {
    const { scope, clock } = this.#options;
    return new Promise((resolve, reject) => {
      const stop = clock.after(pauseMs, () => {
        subscription.leave();
        resolve();
      });
      const subscription = scope.onCancel((cause) => {
        stop();
        reject(new Canceled(cause));
      });
    });
  }
}
