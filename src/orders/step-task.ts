import type { Codec, Codecs } from "../threads/index.ts";
import { STEP_ERROR_KINDS, type StepErrorKind } from "./error-kind.ts";
import type { AttemptInput, Effect, StepInput, Unavailable } from "./step.ts";
import type { StepSpec } from "./step-runner.ts";
import { STEPS, type StepName } from "./steps.ts";

type FlatInput = readonly [
  orderId: string,
  amount: number,
  attempt: number,
  traceparent: string | undefined,
  fails: boolean,
  delayMs: number | undefined,
  cpuMs: number | undefined,
];

/** The task of the step threads that does this. Any thread. */
export function taskOf(step: string, action: StepSpec["action"]): string {
  return action === "perform" ? step : `compensate ${step}`;
}

/** What a task of the step threads does: the other way round. */
export function stepOf(task: string): { readonly name: string; readonly action: StepSpec["action"] } {
  const [name = task, action] = task.split(" ").reverse();
  return { name, action: action === undefined ? "perform" : "compensate" };
}

/** An attempt's input on its way to a step: flat, because a clone has its field names in it, and only what the step needs. */
function codecOf(step: StepName): Codec<AttemptInput, FlatInput> {
  return {
    encode({ orderId, amount, attempt, traceparent, simulation }) {
      if (simulation === undefined) return [orderId, amount, attempt, traceparent, false, undefined, undefined];
      return [orderId, amount, attempt, traceparent, simulation.failStep === step, simulation.delayMs?.[step], simulation.cpuMs?.[step]];
    },
    decode([orderId, amount, attempt, traceparent, fails, delayMs, cpuMs]): StepInput {
      return { orderId, amount, attempt, traceparent, simulation: { fails, delayMs, cpuMs } };
    },
  };
}

export const STEP_CODECS: Codecs = Object.fromEntries(
  ["stick", ...STEPS].flatMap((step) => {
    const codec = codecOf(step as StepName);
    return [
      [taskOf(step, "perform"), codec],
      [taskOf(step, "compensate"), codec],
    ];
  }),
);

/** The data of a `Failure` that a step throws: flat, as its input is. */
export type StepFailure = readonly [
  kind: StepErrorKind,
  effect: Effect,
  answer?: string | undefined,
  unavailable?: Unavailable | undefined,
];

/** Undefined for anything else: a step may throw a `Failure` that it did not make as a step does. */
export function parseStepFailure(data: unknown): StepFailure | undefined {
  if (!Array.isArray(data)) return undefined;
  const [kind, effect, answer, unavailable] = data;
  if (!STEP_ERROR_KINDS.includes(kind) || (effect !== "none" && effect !== "unknown")) return undefined;
  if (answer !== undefined && typeof answer !== "string") return undefined;
  return unavailable === undefined || isUnavailable(unavailable) ? [kind, effect, answer, unavailable] : undefined;
}

function isUnavailable(value: unknown): value is Unavailable {
  if (typeof value !== "object" || value === null) return false;
  const { retryAfterMs } = value as Record<string, unknown>;
  return retryAfterMs === undefined || Number.isFinite(retryAfterMs);
}

/** What a step notes as its progress before a provider can act: unless it then ends ok, it has to be compensated. */
export const CALLING = "calling";
