import type { Operation, OperationName, Reply, Result, Results } from "../../workers/journal/protocol.ts";
import { JournalUnavailable, OutcomeUnknown } from "../orders/order-journal.ts";

// Enough that a commit's price no longer shows in an order's, few enough that a batch takes some milliseconds.
const MAX_BATCH = 1_024;

interface Request {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
}

export interface GroupCommitOptions {
  /** Carries out a batch as one transaction. Rejects with `JournalUnavailable` when it surely was not; after any other rejection nobody knows. */
  readonly send: (batch: readonly Operation[]) => Promise<Reply>;
  /** After every batch: what came of it. */
  readonly onReply: (reply: Reply, requests: number) => void;
  readonly maxBatch?: number;
}

/**
 * Lets requests share transactions. One batch is under way at a time; what arrives meanwhile goes together into the
 * next. So a lone request waits for nobody, and the slower the disk the more requests share a commit. Main thread only.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #maxBatch: number;
  // Two arrays side by side, so that the first goes into the message as it is.
  #operations: Operation[] = [];
  #requests: Request[] = [];
  #busy = false;
  #idle: (() => void) | undefined;
  #refusal: string | undefined;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
    this.#maxBatch = options.maxBatch ?? MAX_BATCH;
  }

  /** Requests that have not been answered and are not under way. */
  get waiting(): number {
    return this.#requests.length;
  }

  /** Resolves with what the operation answers once it is durable. Rejects with `OutcomeUnknown`, `JournalUnavailable` or the operation's own fault; after the latter two it has had no effect. */
  request<Name extends OperationName>(operation: Operation & readonly [Name, ...unknown[]]): Promise<Results[Name]> {
    return new Promise((resolve, reject) => {
      if (this.#refusal !== undefined) {
        reject(new JournalUnavailable(this.#refusal));
        return;
      }
      this.#operations.push(operation);
      this.#requests.push({ resolve: resolve as (result: Result) => void, reject });
      if (this.#busy) return;
      this.#busy = true;
      // Not at once: what else this turn of the event loop asks for shares the commit.
      setImmediate(() => void this.#work());
    });
  }

  /** From now on every request is refused for this reason, those that wait too; undefined lets them in again. */
  refuse(reason: string | undefined): void {
    this.#refusal = reason;
    if (reason === undefined) return;
    this.#operations = [];
    for (const { reject } of this.#requests.splice(0)) reject(new JournalUnavailable(reason));
  }

  /** Resolves when nothing waits and nothing is under way. */
  async idle(): Promise<void> {
    if (this.#busy) await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  async #work(): Promise<void> {
    while (this.#requests.length > 0) {
      const operations = this.#operations.splice(0, this.#maxBatch);
      const requests = this.#requests.splice(0, this.#maxBatch);
      try {
        const reply = await this.#options.send(operations);
        this.#options.onReply(reply, requests.length);
        settle(requests, reply);
      } catch (error) {
        const reason = error instanceof JournalUnavailable ? error : new OutcomeUnknown((error as Error).message);
        for (const { reject } of requests) reject(reason);
      }
    }
    this.#busy = false;
    this.#idle?.();
  }
}

function settle(requests: readonly Request[], { results, unavailable, unsure, faults = [] }: Reply): void {
  for (const [index, message] of faults) requests[index]?.reject(new Error(message));
  for (const [index, { resolve, reject }] of requests.entries()) {
    const result = results[index];
    // After a fault this changes nothing any more.
    if (result === undefined) reject(unsure ? new OutcomeUnknown(unavailable) : new JournalUnavailable(unavailable));
    else resolve(result);
  }
}
