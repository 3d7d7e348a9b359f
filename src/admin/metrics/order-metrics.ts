import type { EndedOrder } from "../../orders/ended-order.ts";
import { ERROR_KINDS, type ErrorKind, ORDER_ERROR_KINDS } from "../../orders/error-kind.ts";
import type { OrderOutcome, StepReport } from "../../orders/outcome.ts";
import { perStep, STEPS } from "../../orders/steps.ts";
import { counter, type Family, Histogram, type Sample } from "./family.ts";
import type { AdmissionFigures } from "./present-families.ts";

// From a simulated provider without delay to the longest useful deadline.
const ORDER_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
// From a wake-up of a thread to a thread that is replaced.
const CANCEL_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

const STEP_STATUSES = ["ok", "error", "canceled"] as const;
const KIND_INDEX = indexOf(ERROR_KINDS);
const STEP_INDEX = indexOf(STEPS);
const STATUS_INDEX = { ok: 0, failed: 1, lost: 1, canceled: 2 } as const;
const REFUSED_WITH: readonly ErrorKind[] = [
  "order_conflict",
  "idempotency_mismatch",
  "rate_limited",
  "internal",
  "overloaded",
  "shutting_down",
];

/** Counts orders and their steps. In plain arrays, because every order is counted. */
export class OrderMetrics {
  #placed = 0;
  readonly #failed = new Float64Array(ERROR_KINDS.length);
  readonly #refused = new Float64Array(ERROR_KINDS.length);
  readonly #orderSeconds = new Histogram(ORDER_SECONDS);
  readonly #steps = new Float64Array(STEPS.length * STEP_STATUSES.length);
  readonly #stepSeconds = perStep(() => new Histogram(ORDER_SECONDS));
  readonly #cancelSeconds = new Histogram(CANCEL_SECONDS);

  ended({ outcome, receivedAtMs, storedAtMs }: EndedOrder): void {
    const { error, steps } = outcome;
    if (error === undefined) this.#placed++;
    else (this.#failed[KIND_INDEX[error]] as number)++;
    this.#orderSeconds.observe((storedAtMs - receivedAtMs) / 1_000);
    for (const step of steps) this.#stepEnded(step, outcome);
  }

  /** An order was refused before any of its steps began. */
  refused(kind: ErrorKind): void {
    (this.#refused[KIND_INDEX[kind]] as number)++;
  }

  /** `refusedByAdmission`: how many, by reason. */
  families(refusedByAdmission: AdmissionFigures["refused"]): Family[] {
    const steps = STEPS.flatMap((step, row) =>
      STEP_STATUSES.map((status, column) => ({
        labels: { step, status },
        value: this.#steps[row * STEP_STATUSES.length + column] as number,
      })),
    );
    return [
      counter(
        "orders_refused_total",
        "Orders refused for what goes on in the service, and not for what is in them, by reason.",
        this.#refusedSamples(refusedByAdmission),
      ),
      counter("orders_total", "Orders by how they ended. A refused one began no step.", this.#orderSamples()),
      this.#orderSeconds.family("order_duration_seconds", "From the request to the stored outcome, of orders that were not refused."),
      counter("steps_total", "Steps of orders by how they ended.", steps),
      {
        name: "step_duration_seconds",
        type: "histogram",
        help: "How long a step ran on its thread.",
        values: STEPS.flatMap((step) => this.#stepSeconds[step].samples("step_duration_seconds", { step })),
      },
      this.#cancelSeconds.family("step_cancel_seconds", "From the cause of a cancel to a step having stopped on its thread."),
    ];
  }

  #stepEnded({ name, outcome, startedAtMs, endedAtMs, threadId }: StepReport, { canceled }: OrderOutcome): void {
    const step = STEP_INDEX[name];
    (this.#steps[step * STEP_STATUSES.length + STATUS_INDEX[outcome.status]] as number)++;
    if (startedAtMs !== undefined) this.#stepSeconds[name].observe((endedAtMs - startedAtMs) / 1_000);
    // A step that waited for capacity was on no thread, and nothing had to stop.
    if (outcome.status === "canceled" && canceled !== undefined && threadId !== undefined) {
      this.#cancelSeconds.observe(Math.max(0, endedAtMs - canceled.atMs) / 1_000);
    }
  }

  #refusedSamples(refusedByAdmission: AdmissionFigures["refused"]): Sample[] {
    const count = (kind: ErrorKind) => this.#refused[KIND_INDEX[kind]] as number;
    const { deadline, limit, max_in_flight } = refusedByAdmission;
    // All other refusals as `overloaded` are for want of something: the journal, another node's word, the end of the start.
    const unavailable = Math.max(0, count("overloaded") - deadline - limit - max_in_flight);
    const reasons = { ...refusedByAdmission, unavailable, rate_limited: count("rate_limited"), shutting_down: count("shutting_down") };
    return Object.entries(reasons).map(([reason, value]) => ({ labels: { reason }, value }));
  }

  #orderSamples(): Sample[] {
    const count = (status: string, counts: Float64Array, expected: readonly ErrorKind[]): Sample[] =>
      // An unexpected kind is shown once it was counted, so that the sum is right.
      ERROR_KINDS.filter((kind) => expected.includes(kind) || counts[KIND_INDEX[kind]] !== 0).map((kind) => ({
        labels: { status, kind },
        value: counts[KIND_INDEX[kind]] as number,
      }));
    return [
      { labels: { status: "ok", kind: "" }, value: this.#placed },
      ...count("error", this.#failed, ORDER_ERROR_KINDS),
      ...count("refused", this.#refused, REFUSED_WITH),
    ];
  }
}

function indexOf<Name extends string>(names: readonly Name[]): Readonly<Record<Name, number>> {
  return Object.fromEntries(names.map((name, index) => [name, index])) as Record<Name, number>;
}
