import type { Logger } from "pino";
import type { CancelCause } from "../concurrency/cancel-cause.ts";
import type { Capacity } from "../concurrency/capacity.ts";
import type { AdmissionGate } from "../orders/admission-gate.ts";
import type { RetriedCompensation } from "../orders/compensation-call.ts";
import type { OnOrderEnded } from "../orders/ended-order.ts";
import type { OnFault } from "../orders/faults.ts";
import type { OperatorJournal } from "../orders/operator-journal.ts";
import type { Compensation, OrderJournal } from "../orders/order-journal.ts";
import type { OrderService } from "../orders/order-service.ts";
import type { Pipeline } from "../orders/pipeline.ts";
import type { ProviderHealths } from "../orders/provider-health.ts";
import type { StepName } from "../orders/step.ts";
import type { StepRunner } from "../orders/step-runner.ts";

/** Where orders come in, whatever remembers them. */
export type PlacesOrders = Pick<OrderService, "place" | "inFlight" | "fieldsOf">;

/** What operators and clients look up, and what operators change by hand. */
export type EngineJournal = OperatorJournal & Pick<OrderJournal, "find">;

/** Why an engine takes no orders now, as `GET /readyz` says it. */
export type EngineTrouble = "journal_unavailable" | "engine_unavailable";

/**
 * What remembers orders and sees to it that each ends: in this process, with a journal (`embedded`), or in a cluster (`restate`). In this
 * state its memory is open, so that it can be looked at; orders are taken once it runs.
 */
export interface OpenEngine {
  readonly journal: EngineJournal;
  /** Undefined while it works. */
  readonly trouble: EngineTrouble | undefined;
  /** Where nodes share the couriers; absent where this process has them all. */
  readonly couriers?: Couriers;
  /** Once. Nothing is taken in, retried or delivered before `start` of what it returns. */
  run(parts: EngineParts): RunningEngine;
  /** Closes its memory. After `close` of what runs on it. */
  close(): Promise<void>;
}

/** Keeps the courier calls of all nodes together within one capacity. */
export interface Couriers {
  /** For the courier capacity of this node. */
  readonly onWait: () => void;
  /** Runs steps by `runner`, and no more courier calls than this node may make. Each of those takes a group of its own. */
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
  /** Where it calls this process from elsewhere; undefined where it does not. */
  readonly endpointPort: number | undefined;
  /** Finds out what was left open, and takes orders from then on. Rejects with what stops a start. */
  start(): Promise<void>;
  /** An operator has changed something that retries or deliveries should look at. */
  notify(): void;
  /** Takes no more orders; resolves when those of this process's clients have been answered. */
  drain(): Promise<void>;
  /** Cancels what a drain waits for. */
  cancelAll(cause: CancelCause): void;
  /** Stops what goes on besides orders. Resolves when no call of it is under way. */
  close(): Promise<void>;
}

/** What an operator can do about a compensation. */
export interface OperatorCompensator {
  tryNow(compensation: Compensation): Promise<void>;
  forget(compensation: Pick<Compensation, "id" | "step">): void;
}

/** The delivery of events, as far as it can be watched and steered. */
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
