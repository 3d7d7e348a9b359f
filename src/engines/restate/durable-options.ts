import type { ObjectHandlerOpts, ObjectOptions } from "@restatedev/restate-sdk";

/**
 * For handlers that the engine runs again without end, because no node is up or something in them is broken. Without a number the engine's
 * default counts: after 70 tries it pauses the invocation without a notice, and everything else of that object waits.
 */
const WITHOUT_END = 1_000_000_000;

/**
 * For objects whose work must go on whatever happens. A cancel does not end their handlers. A handler that throws, because its node stops
 * (`NodeStops`) or something is broken, runs again without end. The engine keeps no journal of ended handlers: the state has everything.
 */
export const DURABLE: ObjectOptions = {
  explicitCancellation: true,
  journalRetention: 0,
  retryPolicy: { initialInterval: 100, exponentiationFactor: 2, maxInterval: 10_000, maxAttempts: WITHOUT_END },
};

// Such a handler waits for nobody. One that is silent for longer is on a node that is frozen or cut off, and its whole object waits for it.
const SILENT_MS = 5_000;

/** For handlers that only read and write the state of their object. */
export const QUICK = {
  idempotencyRetention: 0,
  journalRetention: 0,
  inactivityTimeout: SILENT_MS,
  abortTimeout: SILENT_MS,
  retryPolicy: { initialInterval: 20, exponentiationFactor: 2, maxInterval: 1_000, maxAttempts: WITHOUT_END },
} satisfies ObjectHandlerOpts<unknown, unknown>;

/** For the handler of an attempt. The engine notices the death of a node at once. Any other failure is a fault, which must not make a busy loop. */
export const ATTEMPT_RETRIES = QUICK.retryPolicy;

/** This node stops: the engine has the handler run again on another one. */
export class NodeStops extends Error {
  constructor() {
    super("this node stops");
  }
}
