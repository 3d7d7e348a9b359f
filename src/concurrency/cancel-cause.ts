/** Why work was canceled, as answers spell it. On the cancel board a cause is its position here plus one: append, never reorder. */
export const CANCEL_CAUSES = ["sibling_failed", "deadline", "client_disconnected", "shutdown"] as const;

export type CancelCause = (typeof CANCEL_CAUSES)[number];

/**
 * What a canceled wait throws, and the `reason` of every `AbortSignal` made here. It carries no stack: it is control flow, and capturing
 * a stack costs more than the rest of a cancel.
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
