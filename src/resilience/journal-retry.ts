import { Canceled, type CancelScope, type Clock, pause } from "../threads/index.ts";
import { type BackoffPolicy, backoffMs, PROBE_BACKOFF } from "./backoff.ts";

export interface JournalRetryOptions {
  /** Ends every wait. */
  readonly scope: CancelScope;
  readonly clock: Clock;
  /** 0 to 1, for the jitter of pauses. */
  readonly random?: () => number;
  /** Whether a further try may succeed after this error; the call rejects with any other. Default: always. */
  readonly isTemporary?: (error: unknown) => boolean;
  /** Between the tries of one call; `PROBE_BACKOFF` by default. */
  readonly backoff?: BackoffPolicy;
  /** Calls have begun to fail. Called once until `onWorking`. */
  readonly onStalled?: (error: unknown) => void;
  /** No call fails any more. */
  readonly onWorking?: () => void;
}

/** Repeats calls of the journal until they succeed, for callers that alone know what they want to store. */
export class JournalRetry {
  readonly #options: JournalRetryOptions;
  #stalled = 0;

  constructor(options: JournalRetryOptions) {
    this.#options = options;
  }

  /** Resolves with the value of the call. Rejects with `Canceled` once the scope is canceled; even then the call is tried once. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    const { scope, clock, random = Math.random, isTemporary, backoff = PROBE_BACKOFF, onStalled, onWorking } = this.#options;
    let failures = 0;
    try {
      for (;;) {
        try {
          return await call();
        } catch (error) {
          if (isTemporary?.(error) === false) throw error;
          failures++;
          if (failures === 1 && ++this.#stalled === 1) onStalled?.(error);
        }
        await pause(backoffMs(failures, backoff, random), scope, clock);
        if (scope.cause !== undefined) throw new Canceled(scope.cause);
      }
    } finally {
      if (failures > 0 && --this.#stalled === 0 && scope.cause === undefined) onWorking?.();
    }
  }
}
