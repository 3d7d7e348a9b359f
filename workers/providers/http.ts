import type { StepErrorKind } from "../../src/orders/error-kind.ts";
import type { Effect, StepInput, Unavailable } from "../../src/orders/step.ts";
import { CALLING } from "../../src/orders/step-task.ts";
import type { ProviderRequest } from "../../src/orders/steps/step-definition.ts";
import { STEP_TABLE, type StepName } from "../../src/orders/steps.ts";
import type { ProviderKeys } from "../../src/provider-keys.ts";
import { neverSent, type PostAnswer } from "../../src/resilience/post.ts";
import { retryAfterMs } from "../../src/resilience/retry-after.ts";
import { StepFailed } from "../steps/step.ts";
import { reasonOf, spanOf } from "../telemetry/step-span.ts";
import { threadLog } from "../telemetry/thread-log.ts";
import { callKey, compensationKey } from "./call-key.ts";
import { Endpoint } from "./endpoint.ts";
import type { Provider, ProviderUrls } from "./provider.ts";

/**
 * Answers that a provider gives before it acts. Not 408, 409 and 425: a gateway says "key in use" or "too slow" of a call that the provider
 * behind it has executed. Nor a redirect, nor a 5xx: a proxy answers 502 to 504 also when its connection broke after the request had left.
 */
const DEFINITE: ReadonlySet<number> = new Set([400, 401, 402, 403, 404, 405, 410, 413, 415, 422, 429]);
// Too slow, and too much to do. Other answers from 300 to 499 are about this one call.
const UNAVAILABLE_BELOW_500: ReadonlySet<number> = new Set([408, 429]);
const SAYS_WHEN: ReadonlySet<number> = new Set([429, 503]);

/** Real providers over HTTP. Only the status line decides. Nothing is retried in here: `src/orders/provider-call.ts` decides that. */
export function httpProvider(urls: ProviderUrls, keys: ProviderKeys = {}): Provider {
  const performing = endpoints((step) => STEP_TABLE[step].perform, urls, keys);
  const compensating = endpoints((step) => STEP_TABLE[step].compensate, urls, keys);
  return {
    async perform(step, input, context) {
      const { orderId, attempt, traceparent } = input;
      const { perform, meaning } = STEP_TABLE[step];
      const endpoint = performing(step);
      const key = callKey(orderId, attempt, step);
      const body = bodyOf(perform, input);
      // The context may hear of a cancel a turn after its word is set, and what is not sent need not be compensated.
      context.checkpoint();
      context.progress = CALLING;
      let answer: PostAnswer;
      try {
        answer = await endpoint.post({ key, body, traceparent, span: spanOf(context.observer), cancelable: context });
      } catch (error) {
        context.throwIfCanceled();
        const message = `${step} provider could not be reached: ${reasonOf(error)}`;
        throw failure(step, meaning.unreachable, neverSent(error) ? "none" : "unknown", message, {}, input);
      }
      const { status } = answer;
      if (isSuccess(status)) return;
      const kind = meaning.statuses[status] ?? (DEFINITE.has(status) ? meaning.definite : meaning.other);
      const effect = DEFINITE.has(status) ? "none" : "unknown";
      throw failure(step, kind, effect, `${step} provider answered ${status}`, unavailabilityOf(answer, meaning.healthy), input);
    },

    async compensate(step, input, context) {
      const { orderId, attempt, traceparent } = input;
      const endpoint = compensating(step);
      const key = compensationKey(orderId, attempt, step);
      const body = { ...bodyOf(STEP_TABLE[step].compensate, input), undoes: callKey(orderId, attempt, step) };
      context.checkpoint();
      context.progress = CALLING;
      let answer: PostAnswer;
      try {
        answer = await endpoint.post({ key, body, traceparent, span: spanOf(context.observer), cancelable: context });
      } catch (error) {
        context.throwIfCanceled();
        throw notCompensated(step, reasonOf(error), {}, neverSent(error) ? "none" : "unknown");
      }
      // No 409 or 404 means "nothing to compensate" here: only 2xx promises that a call still under way will be refused.
      if (!isSuccess(answer.status)) throw notCompensated(step, `HTTP ${answer.status}`, unavailabilityOf(answer));
    },
  };
}

/** The providers' addresses for one kind of call. Throws for a step without a URL, which is a bug. */
function endpoints(requestOf: (step: StepName) => ProviderRequest, urls: ProviderUrls, keys: ProviderKeys): (step: StepName) => Endpoint {
  const made = new Map<StepName, Endpoint>();
  for (const [step, base] of Object.entries(urls) as Array<[StepName, string | undefined]>) {
    if (base !== undefined) made.set(step, new Endpoint(base, requestOf(step).path, keys[step]));
  }
  return (step) => {
    const endpoint = made.get(step);
    if (endpoint === undefined) throw new Error(`the ${step} provider has no URL`);
    return endpoint;
  };
}

function bodyOf({ hasAmount }: ProviderRequest, { orderId, amount }: StepInput) {
  return hasAmount ? { order_id: orderId, amount } : { order_id: orderId };
}

function failure(
  step: StepName,
  kind: StepErrorKind,
  effect: Effect,
  message: string,
  unavailable: Unavailable | undefined,
  { orderId }: StepInput,
): StepFailed {
  // The client gets only "internal", so this log line is all that says what went wrong.
  if (kind === "internal") threadLog("warn", message, { step, order_id: orderId });
  return new StepFailed(kind, effect, message, { unavailable });
}

function notCompensated(step: StepName, answer: string, unavailable: Unavailable | undefined, effect: Effect = "unknown"): StepFailed {
  return new StepFailed("internal", effect, `${step} provider has not compensated a call: ${answer}`, { answer, unavailable });
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

/** What an answer outside 2xx says of the provider; undefined for one about this order, as `businessStatus` without a time is. */
export function unavailabilityOf({ status, retryAfter }: PostAnswer, businessStatus?: number): Unavailable | undefined {
  if (status < 500 && !UNAVAILABLE_BELOW_500.has(status)) return undefined;
  const waitMs = SAYS_WHEN.has(status) ? retryAfterMs(retryAfter, Date.now()) : undefined;
  if (waitMs !== undefined) return { retryAfterMs: waitMs };
  return status === businessStatus ? undefined : {};
}
