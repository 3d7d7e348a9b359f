import type { Backlog, WaitingCount } from "../../orders/operator-journal.ts";
import type { ProviderHealth } from "../../orders/provider-health.ts";
import type { StepName } from "../../orders/steps.ts";
import { REPLACE_REASONS } from "../../threads/index.ts";
import type { WebhookControl } from "../operators.ts";
import type { ThreadSources } from "../thread-routes.ts";
import { counter, type Family, gauge, ofSteps, type Sample } from "./family.ts";

/** What a listener counts. */
export interface ListenerCounts {
  readonly listener: "public" | "admin";
  /** Connections that are open. */
  readonly open: number;
  /** Connections that this side has closed; it has every reason from the start. */
  readonly closed: ReadonlyMap<string, number>;
  /** Requests without a valid key. */
  readonly unauthorized: number;
}

/** What admission shows of itself. */
export interface AdmissionFigures {
  /** How many orders may be in flight now. */
  readonly limit: number;
  /** Orders that it refused since the start, as `overloaded`, by reason. */
  readonly refused: Readonly<Record<"deadline" | "limit" | "max_in_flight", number>>;
}

export type CircuitState = ProviderHealth["circuit"]["state"];

/** What is read at each scrape. */
export interface PresentSources extends ThreadSources {
  readonly admission: AdmissionFigures;
  readonly capacities: Readonly<Record<StepName, { readonly inUse: number; readonly waiting: number }>>;
  readonly circuitState: (step: StepName) => CircuitState;
  readonly journalHealthy: () => boolean;
  readonly listeners: () => readonly ListenerCounts[];
  /** Absent where no receiver is configured. */
  readonly webhooks?: Pick<WebhookControl, "state">;
  /** How many spans were not exported; absent without an exporter. */
  readonly spansDropped?: () => number;
}

// The index is the value of the metric, so that a value above 0 means trouble.
export const CIRCUIT_STATES: readonly CircuitState[] = ["closed", "half_open", "open"];

/** What runs and waits now, who is connected, and what works. */
export function presentFamilies(sources: PresentSources): Family[] {
  const { orderService, admission, capacities, circuitState, journalHealthy, webhooks, spansDropped } = sources;
  const { running, threads, replaced } = sources.threads.statistics();
  const pools = threads.map(({ pool }) => pool);
  const listeners = sources.listeners();
  const ofListeners = (value: (counts: ListenerCounts) => number) =>
    listeners.map((counts) => ({ labels: { listener: counts.listener }, value: value(counts) }));
  return [
    gauge("orders_in_flight", "Orders that run, and requests that wait for the answer of one.", one(orderService.inFlight)),
    gauge("admission_limit", "Orders of the usual priority that may be in flight now.", one(admission.limit)),
    gauge("steps_running", "Steps and compensations that have begun on a thread and not ended.", one(running)),
    gauge(
      "steps_waiting",
      "Steps that wait for their capacity.",
      ofSteps((step) => capacities[step].waiting),
    ),
    gauge(
      "capacity_in_use",
      "How much of a step's capacity is taken.",
      ofSteps((step) => capacities[step].inUse),
    ),
    gauge(
      "circuit_state",
      "Circuit breaker of a step's provider: 0 closed, 1 half-open, 2 open.",
      ofSteps((step) => CIRCUIT_STATES.indexOf(circuitState(step))),
    ),
    gauge(
      "threads",
      "Threads that are up.",
      ["shared", "exclusive"].map((pool) => ({ labels: { pool }, value: pools.filter((of) => of === pool).length })),
    ),
    counter(
      "threads_replaced_total",
      "Threads that were replaced, by reason.",
      byReason(REPLACE_REASONS.map((reason) => [reason, replaced.get(reason) ?? 0])),
    ),
    gauge(
      "connections",
      "Connections that are open.",
      ofListeners(({ open }) => open),
    ),
    counter(
      "connections_closed_total",
      "Connections that the service closed on its clients, by reason.",
      byReason(
        [...(listeners[0]?.closed.keys() ?? [])].map((reason) => [
          reason,
          listeners.reduce((sum, { closed }) => sum + (closed.get(reason) ?? 0), 0),
        ]),
      ),
    ),
    counter(
      "unauthorized_total",
      "Requests that were refused for want of a valid key.",
      ofListeners(({ unauthorized }) => unauthorized),
    ),
    gauge(
      "journal_healthy",
      "1 while the journal can be written, 0 while it cannot and orders are refused.",
      one(Number(journalHealthy())),
    ),
    ...(webhooks === undefined
      ? []
      : [
          gauge(
            "webhook_receiver_up",
            "1 while the webhook receiver takes events, 0 while it is down or has said 410.",
            one(webhooks.state().receiver === "up" ? 1 : 0),
          ),
        ]),
    ...(spansDropped === undefined
      ? []
      : [counter("spans_dropped_total", "Spans that were not exported, for the collector was down or slow.", one(spansDropped()))]),
  ];
}

/** What waits in the journal. While it cannot be read (undefined) there are no series: a stale number would hide the fault. */
export function backlogFamilies(backlog: Backlog | undefined): Family[] {
  const nowMs = Date.now();
  const oldestSeconds = ({ sinceMs = nowMs }: WaitingCount) => Math.max(0, nowMs - sinceMs) / 1_000;
  const of = (values: (backlog: Backlog) => Sample[]) => (backlog === undefined ? [] : values(backlog));
  return [
    gauge(
      "compensations_pending",
      "Steps of failed orders that are not compensated yet.",
      of(({ compensations }) => ofSteps((step) => compensations[step].count)),
    ),
    gauge(
      "compensation_oldest_seconds",
      "How long the oldest of them has waited; 0 where none waits.",
      of(({ compensations }) => ofSteps((step) => oldestSeconds(compensations[step]))),
    ),
    gauge(
      "events_pending",
      "Order events that are not delivered yet.",
      of(({ events }) => one(events.count)),
    ),
    gauge(
      "event_oldest_seconds",
      "How long the oldest of them has waited; 0 where none waits.",
      of(({ events }) => one(oldestSeconds(events))),
    ),
    gauge(
      "dead_letters",
      "Order events that were given up.",
      of(({ deadLetters }) => one(deadLetters)),
    ),
    gauge(
      "journal_bytes",
      "Size of the journal and its log.",
      of(({ bytes }) => one(bytes)),
    ),
    gauge(
      "journal_free_bytes",
      "Room that is left for them on their disk; of a journal in a file only.",
      of(({ freeBytes }) => (freeBytes === undefined ? [] : one(freeBytes))),
    ),
  ];
}

export function one(value: number): Sample[] {
  return [{ value }];
}

function byReason(counts: Iterable<readonly [reason: string, count: number]>): Sample[] {
  return [...counts].map(([reason, value]) => ({ labels: { reason }, value }));
}
