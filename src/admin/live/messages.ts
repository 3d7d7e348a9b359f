import type { CancelCause } from "../../orders/cancel-cause.ts";
import type { ErrorKind } from "../../orders/error-kind.ts";
import type { StepOutcome } from "../../orders/step.ts";
import type { StepName } from "../../orders/steps.ts";

// The messages of `GET /events`. This file has types only, so that the page, which is checked as browser code, can import them.
// Times are milliseconds on the clock of `monotonicMs` unless their name says otherwise.

/** The first message of every stream. */
export interface Hello {
  /** A new pid on a later stream means that the process was restarted, and its threads are numbered anew. */
  readonly pid: number;
  /** The name of the node, where there may be several. */
  readonly node?: string;
  /** `now` and `now_since_1970_ms` are the same moment on two clocks, so that the page can show times of day. */
  readonly now: number;
  readonly now_since_1970_ms: number;
  /** When the process began, milliseconds since 1970. */
  readonly started_since_1970_ms: number;
  /** The port of the public listener, which has `/docs`. Absent where there is none. */
  readonly api_port?: number;
  readonly every_ms: number;
  /** Whether the providers are simulated, so that the page offers trouble. */
  readonly simulated: boolean;
  readonly steps: readonly StepName[];
  /** The steps whose compensation gives the amount back. */
  readonly refunding: readonly StepName[];
  readonly limits: Readonly<Record<StepName, number>>;
}

/**
 * Four times a second. `started`, `finished` and `replaced_total` count since the start of the process. `replaced`, `loop`, `commits` and
 * what is said of ended orders are of the time since the last tick; the rest is of this moment.
 */
export interface Tick {
  readonly now: number;
  readonly running: number;
  readonly started: number;
  readonly finished: number;
  readonly in_flight: number;
  readonly threads: readonly LiveThread[];
  readonly replaced_total: number;
  /** How many orders the start of this process found interrupted, and closed. */
  readonly interrupted: number;
  readonly replaced: readonly ReplacedThread[];
  readonly in_use: Readonly<Record<StepName, number>>;
  readonly waiting: Readonly<Record<StepName, number>>;
  /** 0 closed, 1 half-open, 2 open. */
  readonly circuits: Readonly<Record<StepName, number>>;
  /** The main thread: busy from 0 to 1, and the longest time a timer was late. */
  readonly loop: { readonly utilization: number; readonly delay_ms: number };
  readonly commits: { readonly count: number; readonly requests: number; readonly max_ms: number };
  readonly receiver: string;
  /** Null while the journal cannot be read. At most a second old. */
  readonly backlog: LiveBacklog | null;
  /** Some of the steps that have run for a third of a second or longer. Each is in every tick until it has ended. */
  readonly long_steps: readonly LongRunning[];
  /** All attempts that have ended, by kind. */
  readonly ended: Readonly<Partial<Record<EndedAs, number>>>;
  /** All orders that were refused before any of their steps began, by kind. */
  readonly refused: Readonly<Partial<Record<ErrorKind, number>>>;
  /** Some of the attempts that have ended, among them all that had a step in `long_steps`. */
  readonly orders: readonly SampledOrder[];
  /** How many attempts that have ended are not among `orders`. */
  readonly left: number;
  readonly order_ms: Quantiles | null;
  /** From the cancel to the end of the canceled step. */
  readonly cancel_ms: Quantiles | null;
}

export type EndedAs = ErrorKind | "ok";
export type LiveThread = readonly [id: number, pool: string, running: number, started: number, heartbeatAgeMs: number];

/** `step`: an index of `Hello.steps`. `since`: sent to its thread, 50 ms late at most, or more if before the first page was open. */
export type LongRunning = readonly [orderId: string, attempt: number, step: number, thread: number, since: number];

export interface ReplacedThread {
  readonly id: number;
  readonly pool: string;
  readonly reason: string;
  readonly at: number;
}

export interface LiveBacklog {
  readonly compensations: Readonly<Record<StepName, CountAndOldest>>;
  readonly events: CountAndOldest;
  readonly dead_letters: number;
  readonly journal_bytes: number;
}

export interface CountAndOldest {
  readonly count: number;
  readonly oldest_s: number;
}

export interface Quantiles {
  readonly p50: number;
  readonly p99: number;
}

/** One attempt as the page draws it. */
export interface SampledOrder {
  readonly id: string;
  readonly attempt: number;
  readonly kind: EndedAs;
  readonly started: number;
  readonly stored: number;
  readonly canceled?: readonly [cause: CancelCause, at: number];
  /** In the order of `STEPS`. */
  readonly steps: readonly SampledStep[];
}

/** How a step ended, on which thread, from when to when; whether it was compensated by the time the answer went out. */
export type SampledStep = readonly [
  status: StepOutcome["status"],
  thread: number | null,
  started: number | null,
  ended: number,
  compensated: "done" | "pending" | null,
];
