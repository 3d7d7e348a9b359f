/** What orders are canceled for beside the built-in causes of the threads. */
export const ORDER_CAUSES = ["client_disconnected", "shutdown"] as const;

/** Why the steps of an order were canceled, as answers spell it. */
export const CANCEL_CAUSES = ["sibling_failed", "deadline", ...ORDER_CAUSES] as const;

export type CancelCause = (typeof CANCEL_CAUSES)[number];

/** A cause as the threads tell it. `aborted` comes from signals, which orders do not use; `closed` when the threads are closed. */
export function orderCause(cause: string): CancelCause {
  return CANCEL_CAUSES.find((known) => known === cause) ?? "shutdown";
}
