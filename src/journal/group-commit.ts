import type { Committed, Operation, OperationName, Refusal, Reply, Result, Results } from "../../workers/journal/protocol.ts";
import { JournalUnavailable } from "../orders/order-journal.ts";

// Enough that a commit's price no longer shows in an order's, few enough that a batch takes some milliseconds.
const MAX_BATCH = 1_024;

interface Request {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
}

export interface GroupCommitOptions {
  /** Carries out a batch as one transaction. Rejects when it surely was not; where nobody knows it never settles. */
  readonly send: (batch: readonly Operation[]) => Promise<Reply>;
  /** After every batch: what came of it. A fatal reply is the last. */
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
  #state: "open" | "closed" | "abandoned" = "open";
  #idle: (() => void) | undefined;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
    this.#maxBatch = options.maxBatch ?? MAX_BATCH;
  }

  /**
   * Resolves with what the operation answers once it is durable. Rejects with `JournalUnavailable` or the operation's own fault,
   * after which it has had no effect.
   */
  request<Name extends OperationName>(operation: Operation & readonly [Name, ...unknown[]]): Promise<Results[Name]> {
    return new Promise((resolve, reject) => {
      if (this.#state === "closed") {
        reject(new JournalUnavailable("the journal is closed"));
        return;
      }
      if (this.#state === "abandoned") return;
      this.#operations.push(operation);
      this.#requests.push({ resolve: resolve as (result: Result) => void, reject });
      if (this.#busy) return;
      this.#busy = true;
      // Not at once: what else this turn of the event loop asks for shares the commit.
      setImmediate(() => void this.#work());
    });
  }

  /** Refuses later requests and resolves when nothing waits and nothing is under way, at once after `abandon`. */
  async close(): Promise<void> {
    if (this.#state === "abandoned") return;
    this.#state = "closed";
    if (this.#busy) await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  /** Nothing settles from now on, whether it is under way, waits or is still to be asked for. */
  abandon(): void {
    this.#state = "abandoned";
    this.#operations = [];
    this.#requests = [];
    this.#idle?.();
  }

  async #work(): Promise<void> {
    while (this.#requests.length > 0) {
      const operations = this.#operations.splice(0, this.#maxBatch);
      const requests = this.#requests.splice(0, this.#maxBatch);
      const reply = await this.#send(operations);
      if (this.#state === "abandoned") return;
      if (reply instanceof JournalUnavailable) {
        for (const { reject } of requests) reject(reply);
        continue;
      }
      // Nobody may act on an outcome that nobody knows: these requests never settle, nor do those behind them.
      if (reply.type === "fatal") this.abandon();
      // Not inside a `try`: a fault of whoever listens must not make a batch that is durable look refused.
      this.#options.onReply(reply, requests.length);
      if (reply.type === "fatal") return;
      settle(requests, reply);
    }
    this.#busy = false;
    this.#idle?.();
  }

  async #send(batch: readonly Operation[]): Promise<Reply | JournalUnavailable> {
    try {
      return await this.#options.send(batch);
    } catch (error) {
      return new JournalUnavailable((error as Error).message);
    }
  }
}

function settle(requests: readonly Request[], reply: Committed | Refusal): void {
  if (reply.type === "refused") {
    for (const { reject } of requests) reject(new JournalUnavailable(reply.reason));
    return;
  }
  for (const [index, message] of reply.faults ?? []) requests[index]?.reject(new Error(message));
  requests.forEach(({ resolve }, index) => {
    const result = reply.results[index];
    if (result !== undefined) resolve(result);
  });
}
