import type { StepInput, StepName } from "../../src/orders/step.ts";
import type { StepContext } from "../runtime/step-context.ts";
import { StepFailed } from "../runtime/step-failed.ts";
import { callKey, undoKey } from "./call-key.ts";
import { discardBody } from "./discard-body.ts";
import { neverSent } from "./never-sent.ts";
import type { Provider } from "./provider.ts";
import { type ProviderUrls, providerEndpoint } from "./provider-urls.ts";
import { type Refusal, refusalOf, UNREACHABLE } from "./refusal.ts";

const PERFORM_PATH: Readonly<Record<StepName, string>> = { payment: "payments", vendor: "orders", courier: "assignments" };
const UNDO_PATH: Readonly<Record<StepName, string>> = { payment: "refunds", vendor: "cancellations", courier: "releases" };

/**
 * Real providers over HTTP. A call stops with its order: the socket is closed. The answer's status line decides, its
 * body is never looked at. Not retried in here: what may have been carried out is undone, not sent again.
 */
export function httpProvider(urls: ProviderUrls): Provider {
  return {
    async perform(step, input, context) {
      const { orderId, amount, attempt } = input;
      const url = providerEndpoint(urls, step, PERFORM_PATH[step]);
      const body = step === "courier" ? { order_id: orderId } : { order_id: orderId, amount };
      // The signal may be a turn behind the cancel word, and what is not sent need not be undone.
      context.checkpoint();
      context.callStarts();
      let status: number;
      try {
        status = await post(url, callKey(orderId, attempt, step), body, input, context);
      } catch (error) {
        context.signal.throwIfAborted();
        const refusal = { kind: UNREACHABLE[step], effect: neverSent(error) ? "none" : "unknown" } as const;
        throw failure(step, refusal, `${step} provider could not be reached: ${reasonOf(error)}`, input, context);
      }
      if (!isSuccess(status)) throw failure(step, refusalOf(step, status), `${step} provider answered ${status}`, input, context);
    },

    async undo(step, input, context) {
      const { orderId, amount, attempt } = input;
      const url = providerEndpoint(urls, step, UNDO_PATH[step]);
      const undoes = callKey(orderId, attempt, step);
      const body = step === "payment" ? { order_id: orderId, amount, undoes } : { order_id: orderId, undoes };
      context.checkpoint();
      context.callStarts();
      let status: number;
      try {
        status = await post(url, undoKey(orderId, attempt, step), body, input, context);
      } catch (error) {
        context.signal.throwIfAborted();
        throw new StepFailed("internal", "unknown", `${step} provider could not be reached to undo: ${reasonOf(error)}`);
      }
      // No 409 or 404 means "nothing to undo" here: only 2xx promises that a call still under way will be refused.
      if (!isSuccess(status)) throw new StepFailed("internal", "unknown", `${step} provider answered ${status} to an undo`);
    },
  };
}

/** Sends one call and returns the status of its answer. Throws what `fetch` throws. */
async function post(url: URL, key: string, body: object, { traceparent }: StepInput, { signal }: StepContext): Promise<number> {
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "idempotency-key": key,
      ...(traceparent === undefined ? {} : { traceparent }),
    },
    body: JSON.stringify(body),
    // Following would send an order's call, key and all, to wherever an answer points.
    redirect: "manual",
    signal,
  });
  await discardBody(response.body);
  return response.status;
}

function failure(step: StepName, { kind, effect }: Refusal, message: string, { orderId }: StepInput, context: StepContext): StepFailed {
  if (effect === "none") context.callHadNoEffect();
  // A client is told no more than "internal", so this line is the only trace of what went wrong.
  if (kind === "internal") context.log("warn", message, { step, order_id: orderId });
  return new StepFailed(kind, effect, message);
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return String((cause as NodeJS.ErrnoException).code ?? cause);
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}
