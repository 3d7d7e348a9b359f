import type { Illness, StepInput, StepName } from "../../src/orders/step.ts";
import type { PostAnswer } from "../../src/outgoing/post.ts";
import type { ProviderKeys } from "../../src/provider-keys.ts";
import type { StepContext } from "../runtime/step-context.ts";
import { StepFailed } from "../steps/step.ts";
import { reasonOf } from "../telemetry/reason-of.ts";
import { callKey, compensationKey } from "./call-key.ts";
import { Endpoint } from "./endpoint.ts";
import { illnessOf } from "./illness.ts";
import { neverSent } from "./never-sent.ts";
import type { Provider } from "./provider.ts";
import type { ProviderUrls } from "./provider-urls.ts";
import { type Refusal, refusalOf, UNREACHABLE } from "./refusal.ts";

const PERFORM_PATH: Readonly<Record<StepName, string>> = { payment: "payments", vendor: "orders", courier: "assignments" };
const COMPENSATION_PATH: Readonly<Record<StepName, string>> = { payment: "refunds", vendor: "cancellations", courier: "releases" };

/**
 * Real providers over HTTP. A call stops with its order: the socket is closed. The answer's status line decides, its
 * body is never looked at. Not retried in here: whether a call may be made again is decided where it is known how ill the
 * provider is, for the whole process.
 */
export function httpProvider(urls: ProviderUrls, keys: ProviderKeys = {}): Provider {
  const performing = endpoints(PERFORM_PATH, urls, keys);
  const compensating = endpoints(COMPENSATION_PATH, urls, keys);
  return {
    async perform(step, input, context) {
      const { orderId, amount, attempt, traceparent } = input;
      const endpoint = performing(step);
      const key = callKey(orderId, attempt, step);
      const body = step === "courier" ? { order_id: orderId } : { order_id: orderId, amount };
      // The context may hear of a cancel a turn after its word is set, and what is not sent need not be compensated.
      context.checkpoint();
      context.callStarts();
      let answer: PostAnswer;
      try {
        answer = await endpoint.post({ key, body, traceparent, span: context.span, cancelable: context });
      } catch (error) {
        context.throwIfCanceled();
        const refusal = { kind: UNREACHABLE[step], effect: neverSent(error) ? "none" : "unknown" } as const;
        throw failure(step, refusal, `${step} provider could not be reached: ${reasonOf(error)}`, {}, input, context);
      }
      const { status } = answer;
      if (isSuccess(status)) return;
      // A courier service says by 503 that it has no courier, unless it says when it can be asked again.
      const ill = illnessOf(answer, step === "courier" ? 503 : undefined);
      throw failure(step, refusalOf(step, status), `${step} provider answered ${status}`, ill, input, context);
    },

    async compensate(step, input, context) {
      const { orderId, amount, attempt, traceparent } = input;
      const endpoint = compensating(step);
      const key = compensationKey(orderId, attempt, step);
      const undoes = callKey(orderId, attempt, step);
      const body = step === "payment" ? { order_id: orderId, amount, undoes } : { order_id: orderId, undoes };
      context.checkpoint();
      context.callStarts();
      let answer: PostAnswer;
      try {
        answer = await endpoint.post({ key, body, traceparent, span: context.span, cancelable: context });
      } catch (error) {
        context.throwIfCanceled();
        throw notCompensated(step, reasonOf(error), {});
      }
      // No 409 or 404 means "nothing to compensate" here: only 2xx promises that a call still under way will be refused.
      if (!isSuccess(answer.status)) throw notCompensated(step, `HTTP ${answer.status}`, illnessOf(answer));
    },
  };
}

/** The providers' addresses for one kind of call. To ask for that of a step without a URL is a bug, and throws. */
function endpoints(paths: Readonly<Record<StepName, string>>, urls: ProviderUrls, keys: ProviderKeys): (step: StepName) => Endpoint {
  const made = new Map<StepName, Endpoint>();
  for (const [step, base] of Object.entries(urls) as Array<[StepName, string | undefined]>) {
    if (base !== undefined) made.set(step, new Endpoint(base, paths[step], keys[step]));
  }
  return (step) => {
    const endpoint = made.get(step);
    if (endpoint === undefined) throw new Error(`the ${step} provider has no URL`);
    return endpoint;
  };
}

function failure(
  step: StepName,
  { kind, effect }: Refusal,
  message: string,
  ill: Illness | undefined,
  { orderId }: StepInput,
  context: StepContext,
): StepFailed {
  if (effect === "none") context.callHadNoEffect();
  // A client is told no more than "internal", so this line is the only trace of what went wrong.
  if (kind === "internal") context.log("warn", message, { step, order_id: orderId });
  return new StepFailed(kind, effect, message, { ill });
}

function notCompensated(step: StepName, answer: string, ill: Illness | undefined): StepFailed {
  return new StepFailed("internal", "unknown", `${step} provider has not compensated a call: ${answer}`, { answer, ill });
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}
