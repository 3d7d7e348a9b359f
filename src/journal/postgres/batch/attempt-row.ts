/** An attempt as its row has it: one row from its acceptance on. */
export interface AttemptRow {
  /** Undefined of one that this batch accepts: the server gives it. */
  id: number | undefined;
  readonly orderId: string;
  readonly attempt: number;
  readonly amount: number;
  readonly acceptedMs: number;
  /** The life that runs it, or still has to store its answer. */
  openBy: number | null;
  /** Null until it has ended; so are `error` and `json`. */
  endedMs: number | null;
  error: string | null;
  interrupted: number;
  answered: number;
  json: string | null;
}

/** Of the table `attempts`, in the order of `attemptRow`. */
export const ATTEMPT_COLUMNS =
  "a.id, a.order_id, a.attempt, a.amount, a.accepted_ms, a.open_by, a.ended_ms, a.error, a.interrupted, a.answered, a.answer";

export type AttemptTuple = readonly [
  number,
  string,
  number,
  number,
  number,
  number | null,
  number | null,
  string | null,
  number,
  number,
  string | null,
];

export function attemptRow([
  id,
  orderId,
  attempt,
  amount,
  acceptedMs,
  openBy,
  endedMs,
  error,
  interrupted,
  answered,
  json,
]: AttemptTuple): AttemptRow {
  return { id, orderId, attempt, amount, acceptedMs, openBy, endedMs, error, interrupted, answered, json };
}
