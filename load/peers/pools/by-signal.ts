import type { Job, Pool } from "../peer.ts";
import { settled } from "./settled.ts";

interface SignalPool {
  run(job: Job, options: { readonly signal: AbortSignal | null }): Promise<unknown>;
  on(event: "error", listener: () => void): unknown;
  destroy(): Promise<void>;
}

/** Piscina and its fork: a signal for each task that may be canceled. */
export function bySignal(pool: SignalPool): Pool {
  // A result that meets its own abort is an "unexpected message" to Piscina, and an error nobody listens to ends the process.
  pool.on("error", () => {});
  return {
    run(job, { cancelable = true } = {}) {
      const abort = cancelable ? new AbortController() : undefined;
      return { settled: settled(job, pool.run(job, { signal: abort?.signal ?? null })), cancel: () => abort?.abort() };
    },
    [Symbol.asyncDispose]: () => pool.destroy(),
  };
}
