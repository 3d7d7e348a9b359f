/**
 * Why work was canceled. A closed list: each cause has one number on the cancel board
 * (its position here plus one, 0 meaning "running") and one spelling in an answer's `detail`.
 * The order is therefore part of the shared-memory layout: append, never reorder.
 */
export const CANCEL_CAUSES = ["sibling_failed", "deadline", "client_disconnected", "shutdown"] as const;

export type CancelCause = (typeof CANCEL_CAUSES)[number];

/**
 * What a canceled wait throws, and the `reason` of every `AbortSignal` made here.
 * It is control flow, not a fault, and storms throw thousands a second, so it carries no stack
 * (capturing one costs more than the rest of a cancel).
 */
export class Canceled extends Error {
  readonly causedBy: CancelCause;

  constructor(cause: CancelCause) {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(`canceled: ${cause}`);
    Error.stackTraceLimit = limit;
    this.name = "Canceled";
    this.causedBy = cause;
  }
}
