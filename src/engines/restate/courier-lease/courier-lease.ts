import { type ObjectContext, object } from "@restatedev/restate-sdk";
import { allocate, type LeaseAnswer, type LeaseEntry, type LeaseSync } from "./allocation.ts";

export const COURIER_LEASE = "CourierLease";
/** There is one such object in a cluster. */
export const COURIER_LEASE_KEY = "couriers";

const ENTRIES = "entries";
/**
 * Nobody asks for the answer of an old call. A call whose node dies runs again at once, because nodes renew five times a second. A call that
 * cannot run is killed: the next one comes anyway, and a paused one would stop the object for good. A call whose node is frozen or cut off
 * is taken away from it soon, because all other nodes wait for it and their leases run out. The engine (1.7.12, measured) adds five seconds
 * to the two timeouts.
 */
const OPTIONS = {
  journalRetention: 0,
  idempotencyRetention: 0,
  inactivityTimeout: 400,
  abortTimeout: 200,
  retryPolicy: { initialInterval: 10, exponentiationFactor: 2, maxInterval: 200, maxAttempts: 10, onMaxAttempts: "kill" },
} as const;

/**
 * Shares the couriers of the cluster among its nodes: a virtual object, so that one call runs after the other, and what it knows outlives
 * every node.
 *
 * Rejected: the engine's own concurrency limits by scope. In 1.7 they are experimental and off in the server that an operator
 * brings (`experimental-enable-vqueues` and `-protocol-v7`); they bound invocations, so each courier step would have to be one of its
 * own, a call and its journal more for every order, all of them on one partition; and no deadline ends the wait for one.
 */
export const courierLease = object({
  name: COURIER_LEASE,
  handlers: {
    sync: async (ctx: ObjectContext, sync: LeaseSync): Promise<LeaseAnswer> => {
      const before = (await ctx.get<readonly LeaseEntry[]>(ENTRIES)) ?? [];
      const { entries, answer } = allocate(before, sync);
      if (entries.length === 0) ctx.clear(ENTRIES);
      else if (entries !== before) ctx.set(ENTRIES, entries);
      return answer;
    },
  },
  options: OPTIONS,
});
