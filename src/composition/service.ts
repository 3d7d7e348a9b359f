import type { Admission } from "../admission/admission.ts";
import type { TraceRecorder } from "../diagnosis/trace-recorder.ts";
import type { Listener } from "../http/listener.ts";
import type { Journal } from "../journal/journal.ts";
import type { Compensator } from "../orders/compensator.ts";
import type { OrderService } from "../orders/order-service.ts";
import type { StepName } from "../orders/steps.ts";
import type { Capacity } from "../threads/index.ts";
import type { ProviderHealthSettings } from "./steps.ts";
import type { StepThreads } from "./threads.ts";

/** The running service, for whoever started it. */
export interface Service {
  readonly publicListener: Listener;
  readonly adminListener: Listener;
  readonly orderService: OrderService;
  readonly threads: StepThreads;
  readonly journal: Journal;
  readonly compensator: Compensator;
  readonly admission: Admission;
  readonly traces: TraceRecorder;
  readonly capacities: Readonly<Record<StepName, Capacity>>;
  /** Takes no more orders, lets those in flight end (cancels them after the shutdown timeout), stops. */
  stop(): Promise<void>;
  /** Cancels the orders in flight that a `stop` is waiting for. */
  cancelAll(): void;
  /** Reads the files of the admin keys and the API keys again; a bad one changes nothing but the log. Absent where there is none. */
  reloadKeys?(): Promise<void>;
}

export interface StartOptions {
  /** For tests with steps of their own. */
  readonly workerFile?: string;
  /** For tests that look at idle threads: those of the exclusive pool start with the service. */
  readonly exclusiveAtStart?: boolean;
  /** For tests that let time pass: the clock of the rate limit, milliseconds. */
  readonly rateClock?: () => number;
  /** What the start does next, for an operator who wonders why it takes long. */
  readonly onPhase?: (phase: string) => void;
  /** For tests and benchmarks that compare. */
  readonly providerHealth?: ProviderHealthSettings;
  /** Called when the contents of the journal are in doubt: the process has to end. */
  readonly onFatal: (reason: string) => void;
}
