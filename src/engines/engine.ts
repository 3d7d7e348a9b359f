import type { Logger } from "pino";
import type { AdmissionGate } from "../orders/admission-gate.ts";
import type { CancelCause } from "../orders/cancel-cause.ts";
import type { RetriedCompensation } from "../orders/compensator.ts";
import type { OnOrderEnded } from "../orders/ended-order.ts";
import type { OnFault } from "../orders/faults.ts";
import type { OperatorJournal } from "../orders/operator-journal.ts";
import type { Compensation, OrderJournal } from "../orders/order-journal.ts";
import type { OrderService } from "../orders/order-service.ts";
import type { Pipeline } from "../orders/pipeline.ts";
import type { ProviderHealths } from "../orders/provider-health.ts";
import type { StepRunner } from "../orders/step-runner.ts";
import type { StepName } from "../orders/steps.ts";
import type { Capacity } from "../threads/index.ts";

/** The order service of either engine. */
export type PlacesOrders = Pick<OrderService, "place" | "inFlight" | "fieldsOf">;

/** What clients and operators read, and what operators change. */
export type EngineJournal = OperatorJournal & Pick<OrderJournal, "find" | "takeCompensation">;

/** Why an engine takes no orders now: the status in `GET /readyz`. */
export type EngineTrouble = "journal_unavailable" | "engine_unavailable";

/**
 * Keeps orders and brings each to its end: with a journal of this process (`embedded`), or on a distributed engine (`restate`). An open
 * engine can be read; it takes orders once it runs.
 */
export interface OpenEngine {
  readonly journal: EngineJournal;
  /** Undefined while the engine works. */
  readonly trouble: EngineTrouble | undefined;
  /** Present where nodes share the couriers. */
  readonly couriers?: Couriers;
  /** To be called once. Takes, retries and delivers nothing before `start` of the result. */
  run(parts: EngineParts): RunningEngine;
  /** To be called after `close` of the running engine. */
  close(): Promise<void>;
}

/** Keeps the courier calls of all nodes within one capacity. */
export interface Couriers {
  /** For `onWait` of this node's courier capacity. */
  readonly onWait: () => void;
  /** A runner that makes no more courier calls at a time than this node may. Each takes a group of its own on `runner`. */
  watch(runner: StepRunner): StepRunner;
}

/** What the service gives its engine. */
export interface EngineParts {
  readonly runner: StepRunner;
  readonly pipeline: Pipeline;
  readonly capacities: Readonly<Record<StepName, Capacity>>;
  readonly gate: AdmissionGate;
  readonly providers: ProviderHealths;
  readonly onEnded: OnOrderEnded;
  readonly onTried: (step: StepName, done: boolean) => void;
  readonly onRetried?: (retry: RetriedCompensation) => void;
  readonly onFault: OnFault;
}

/** An engine at work. Main thread only. */
export interface RunningEngine {
  readonly orderService: PlacesOrders;
  readonly compensator: OperatorCompensator;
  /** Absent where no receiver is configured. */
  readonly webhooks: WebhookState | undefined;
  /** Port where the distributed engine calls this process; undefined with the embedded one. */
  readonly endpointPort: number | undefined;
  /** Recovers what the last run left open, and takes orders from then on. Rejects with an error that stops the start. */
  start(): Promise<void>;
  /** An operator has changed something that deliveries may be waiting for. */
  notify(): void;
  /** Takes no more orders. Resolves when the clients of this process have their answers. */
  drain(): Promise<void>;
  /** Cancels the orders that a drain waits for. */
  cancelAll(cause: CancelCause): void;
  /** Stops compensations and deliveries. Resolves when none of their calls is under way. */
  close(): Promise<void>;
}

/** What an operator can do about a compensation. */
export interface OperatorCompensator {
  tryNow(compensation: Compensation): Promise<void>;
}

/** The delivery of events, for operators. */
export interface WebhookState {
  state(): { readonly receiver: "up" | "down" | "disabled"; readonly inFlight: number };
  resume(): void | Promise<void>;
}

/** The engine cannot call this node: its endpoint cannot be listened on. One line that names the setting. */
export class EndpointError extends Error {}

/** Logs that the provider of a step began or ceased to refuse compensations. */
export function compensationsDownLog(log: Logger): (step: StepName, down: boolean) => void {
  return (step, down) =>
    down
      ? log.warn({ step }, "the provider takes no compensations: probing it with one at a time")
      : log.info({ step }, "the provider takes compensations again");
}
