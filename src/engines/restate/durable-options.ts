import type { ObjectOptions } from "@restatedev/restate-sdk";

/**
 * For objects whose work must go on whatever happens: a cancel is not for them, and a handler that throws, because its node stops or
 * something of it is broken, is run again without end. Of what has ended the engine keeps nothing: the state says it all.
 */
export const DURABLE: ObjectOptions = {
  explicitCancellation: true,
  journalRetention: 0,
  retryPolicy: { initialInterval: 100, exponentiationFactor: 2, maxInterval: 10_000, maxAttempts: 1_000_000_000 },
};
