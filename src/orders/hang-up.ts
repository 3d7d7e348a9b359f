const ONCE = { once: true };

/** Calls `leave` once, when the client hangs up, or at once where it has. Never taken back: a request's signal ends with the request. */
export function onHangUp(signal: AbortSignal | undefined, leave: () => void): void {
  if (signal?.aborted) leave();
  else signal?.addEventListener("abort", leave, ONCE);
}
