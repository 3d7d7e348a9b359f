import { JournalUnavailable } from "../orders/order-journal.ts";
import type { Committed, Operation, OperationName, Refused, Reply, Result, Results } from "./protocol.ts";

// With so many the cost of a commit is no part of an order's any more, and a batch still takes only some milliseconds.
const MAX_BATCH = 1_024;

interface Request {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
}

export interface GroupCommitOptions {
  /** Executes a batch as one transaction. Rejects when the batch surely had no effect; never settles when that is in doubt. */
  readonly send: (batch: readonly Operation[]) => Promise<Reply>;
  /** Is called after every batch. A fatal reply is the last. */
  readonly onReply: (reply: Reply) => void;
  /** After each commit that wrote something: how many requests shared it and how long it took. */
  readonly onCommit?: ((requests: number, milliseconds: number) => void) | undefined;
  readonly maxBatch?: number;
}

/**
 * Lets requests share transactions: what arrives while a batch is under way forms the next. The slower the disk, the more share a commit.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #maxBatch: number;
  // Two parallel arrays: the first is the message.
  #operations: Operation[] = [];
  #requests: Request[] = [];
  #busy = false;
  #state: "open" | "closed" | "abandoned" = "open";
  #idle: (() => void) | undefined;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
    this.#maxBatch = options.maxBatch ?? MAX_BATCH;
  }

  /** Resolves once it is durable. Rejects with `JournalUnavailable` or the operation's own fault: then it had no effect. */
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
      // Not at once: later requests of this turn of the event loop share the commit.
      setImmediate(() => void this.#work());
    });
  }

  /** Refuses later requests. Resolves when no earlier one is left, at once after `abandon`. */
  async close(): Promise<void> {
    if (this.#state === "abandoned") return;
    this.#state = "closed";
    if (this.#busy) await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  /** From now on no request settles, neither earlier nor later ones. */
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
      // Nobody may act on an outcome in doubt, so these requests and those that wait never settle.
      if (reply.type === "fatal") this.abandon();
      // Not inside a `try`: a fault of `onReply` must not make a durable batch look refused.
      this.#options.onReply(reply);
      if (reply.type === "committed" && reply.commitMs !== undefined) this.#options.onCommit?.(requests.length, reply.commitMs);
      if (reply.type === "fatal") return;
      settle(requests, reply);
      const again = reply.type === "committed" ? (reply.again ?? []) : [];
      this.#operations.unshift(...again.map((index) => operations[index] as Operation));
      this.#requests.unshift(...again.map((index) => requests[index] as Request));
    }
    this.#busy = false;
    this.#idle?.();
  }

  async #send(batch: readonly Operation[]): Promise<Reply | JournalUnavailable> {
    try {
      return await this.#options.send(batch);
    } catch (error) {
      return error instanceof JournalUnavailable ? error : new JournalUnavailable((error as Error).message);
    }
  }
}

function settle(requests: readonly Request[], reply: Committed | Refused): void {
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
