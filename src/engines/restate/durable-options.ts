import type { ObjectHandlerOpts, ObjectOptions } from "@restatedev/restate-sdk";

/**
 * What of a handler fails, because no node is there or something of it is broken, is run again without end. Without a number the engine's
 * own counts: after 70 tries it pauses the invocation, which nobody is told of, and with it everything else of its object.
 */
const WITHOUT_END = 1_000_000_000;

/**
 * For objects whose work must go on whatever happens: a cancel is not for them, and a handler that throws, because its node stops or
 * something of it is broken, is run again without end. Of what has ended the engine keeps nothing: the state says it all.
 */
export const DURABLE: ObjectOptions = {
  explicitCancellation: true,
  journalRetention: 0,
  retryPolicy: { initialInterval: 100, exponentiationFactor: 2, maxInterval: 10_000, maxAttempts: WITHOUT_END },
};

// Such a handler waits for nobody, so one that is silent for longer is on a node that is frozen or cut off, and its object waits for it.
const SILENT_MS = 5_000;

/** For handlers that only look at their object's state and change it. */
export const QUICK = {
  idempotencyRetention: 0,
  journalRetention: 0,
  inactivityTimeout: SILENT_MS,
  abortTimeout: SILENT_MS,
  retryPolicy: { initialInterval: 20, exponentiationFactor: 2, maxInterval: 1_000, maxAttempts: WITHOUT_END },
} satisfies ObjectHandlerOpts<unknown, unknown>;

/** For the handler of an attempt. A node that died is noticed at once; what fails for another reason is a fault, and not for a busy loop. */
export const ATTEMPT_RETRIES = QUICK.retryPolicy;
