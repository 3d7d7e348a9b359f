import { handlers, type internal, type ObjectContext, type ObjectSharedContext, object, RestatePromise } from "@restatedev/restate-sdk";
import type { CancelCause } from "../../../orders/cancel-cause.ts";
import type { OnOrderEnded } from "../../../orders/ended-order.ts";
import type { FirstTry } from "../../../orders/order-journal.ts";
import type { OrderOutcome } from "../../../orders/outcome.ts";
import type { Pipeline } from "../../../orders/pipeline.ts";
import type { AttemptInput } from "../../../orders/step.ts";
import { STEPS } from "../../../orders/steps.ts";
import { monotonicMs } from "../../../threads/index.ts";
import { compensationChanged } from "../compensation/order-compensations.ts";
import { ATTEMPT_RETRIES, QUICK } from "../durable-options.ts";
import {
  type AttemptRequest,
  type AttemptResult,
  type AttemptState,
  attemptState,
  type CompensationChanged,
  cancelSignal,
  HEAD,
  type KnownRequest,
  OBJECTS,
  type OrderHead,
} from "../objects.ts";
import { type AttemptEnding, type EndingParts, endAttempt, endInterrupted } from "./attempt-ending.ts";
import { AttemptExecution } from "./attempt-execution.ts";
import type { Executions } from "./executions.ts";
import { bindKey, releaseKey } from "./idempotency-key-object.ts";
import { type KnownOrder, knownOrder } from "./known-order.ts";
import { outcomeOf, type StepRecord } from "./step-record.ts";

export interface OrderObjectParts extends EndingParts {
  readonly pipeline: Pipeline;
  readonly executions: Executions;
  readonly orderTimeoutMs: number;
  readonly onEnded: OnOrderEnded;
}

// Above an order's deadline, before a node counts as stalled: for a step that ends, the first tries of compensations, and the engine itself.
const STALLED_EXTRA_MS = 30_000;

/** The object of an order: its attempts, one after another, and what is known of them. Its handlers run on the main thread. */
export function orderObject(parts: OrderObjectParts) {
  const attemptOptions = {
    // While it runs, requests for the same content join its invocation; afterwards each is a new one.
    idempotencyRetention: 0,
    journalRetention: 0,
    // A cancel must not end the handler before its steps have ended.
    explicitCancellation: true,
    inactivityTimeout: parts.orderTimeoutMs + STALLED_EXTRA_MS,
    abortTimeout: STALLED_EXTRA_MS,
    retryPolicy: ATTEMPT_RETRIES,
  };
  return object({
    name: OBJECTS.order,
    handlers: {
      attempt: handlers.object.exclusive(attemptOptions, (context: ObjectContext, request: AttemptRequest) =>
        attempt(context as ObjectContext & internal.ContextInternal, request, parts),
      ),
      compensationChanged: handlers.object.exclusive(QUICK, (context: ObjectContext, changed: CompensationChanged) =>
        compensationChanged(context, changed, parts.sendsEvents),
      ),
      known: handlers.object.shared(QUICK, known),
      latest: handlers.object.shared(QUICK, latest),
    },
  });
}

export type OrderObject = ReturnType<typeof orderObject>;

async function attempt(
  context: ObjectContext & internal.ContextInternal,
  request: AttemptRequest,
  parts: OrderObjectParts,
): Promise<AttemptResult> {
  // Differs between nodes, so nothing that the engine stores may depend on it.
  const again = !context.isProcessing();
  const head = await context.get<OrderHead>(HEAD);
  const stored = head === null ? undefined : await storedResult(context, head, request);
  if (stored !== undefined) return stored;
  if (head !== null) keepLatest(context, head, request, parts);
  const state = begin(context, request, (head?.attempts ?? 0) + 1);
  const key = request.key === undefined ? undefined : bindKey(context, request.key, state.attempt, request.receivedMs);
  // The engine stores this before a step acts. Otherwise the engine might die without a trace of the attempt, the handler would run again as
  // the first, and what a step had done would stay where this run does not come to that step.
  await context.run("begin", () => {});
  const { records, outcome, ended } = await execute(context, request, state.attempt, again, parts);
  await key;
  const ending = await endAttempt(context, { request, state, records, outcome }, parts);
  if (ending.end.fromOutside && request.key !== undefined) releaseKey(context, request.key.id, { attempt: state.attempt });
  ended(ending.firstTries);
  return resultOf(request, state, ending);
}

/** The stored answer to the request, or undefined where an attempt has to run. */
async function storedResult(context: ObjectContext, head: OrderHead, request: AttemptRequest): Promise<AttemptResult | undefined> {
  const { latest } = head;
  const byKey = await attemptOfKey(context, head, request);
  if (byKey?.ended !== undefined && !byKey.ended.fromOutside && byKey.ended.interrupted !== true) {
    return { type: "replayed", attempt: byKey.attempt, answer: byKey.ended.answer };
  }
  if (latest.ended === undefined || latest.ended.answer.error !== undefined) return undefined;
  if (latest.amount !== request.amount) return { type: "conflict" };
  return { type: "replayed", attempt: latest.attempt, answer: latest.ended.answer };
}

async function attemptOfKey(context: ObjectContext, { latest }: OrderHead, { key }: AttemptRequest): Promise<AttemptState | undefined> {
  if (key === undefined) return undefined;
  // The key was bound after this request had claimed it: both requests came at the same moment.
  if (latest.keyId === key.id && key.boundTo === undefined) return latest;
  if (key.boundTo === undefined) return undefined;
  if (key.boundTo === latest.attempt) return latest;
  return (await context.get<AttemptState>(attemptState(key.boundTo))) ?? undefined;
}

/** Stores the previous attempt under a key of its own. One without an end was killed in the engine: no other node can be running it. */
function keepLatest(context: ObjectContext, { latest }: OrderHead, request: AttemptRequest, parts: OrderObjectParts): void {
  const kept = latest.ended === undefined ? endInterrupted(context, latest, request.receivedMs, parts) : latest;
  context.set(attemptState(latest.attempt), kept);
}

function begin(context: ObjectContext, request: AttemptRequest, number: number): AttemptState {
  const state: AttemptState = {
    attempt: number,
    amount: request.amount,
    acceptedMs: request.receivedMs,
    invocationId: context.request().id,
    token: request.token,
    ...(request.key !== undefined && { keyId: request.key.id }),
  };
  context.set<OrderHead>(HEAD, { attempts: number, latest: state });
  return state;
}

interface Executed {
  readonly records: readonly StepRecord[];
  readonly outcome: OrderOutcome;
  /** To be called when everything is stored. */
  ended(compensations: readonly FirstTry[]): void;
}

/** Runs the steps without a record on this node's threads. Resolves when all steps have ended. */
async function execute(
  context: ObjectContext & internal.ContextInternal,
  request: AttemptRequest,
  number: number,
  again: boolean,
  { pipeline, executions, orderTimeoutMs, onEnded }: OrderObjectParts,
): Promise<Executed> {
  const input = inputOf(request, number);
  const leftMs = again ? request.receivedMs + orderTimeoutMs - Date.now() : orderTimeoutMs;
  const execution = new AttemptExecution(pipeline, {
    input,
    requestId: request.requestId,
    urgency: request.urgency,
    token: request.token,
    timeLeftMs: Math.min(orderTimeoutMs, Math.max(0, leftMs)),
    again,
  });
  executions.add(execution);
  let here = true;
  const leave = () => {
    if (here) executions.remove(execution);
    here = false;
  };
  context.request().attemptCompletedSignal.addEventListener(
    "abort",
    () => {
      if (here) execution.abandon();
      leave();
    },
    { once: true },
  );
  const records = await waitForSteps(context, execution);
  const outcome = outcomeOf(records, execution.startedAtMs, (ms) => execution.localMs(ms), execution.scope.canceledAtMs);
  const ended = (compensations: readonly FirstTry[]) => {
    if (!here) return;
    leave();
    const storedAtMs = monotonicMs();
    const receivedAtMs = Math.min(execution.startedAtMs, execution.localMs(request.receivedMs));
    onEnded({ input, requestId: request.requestId, parentSpanId: request.parentSpanId, receivedAtMs, outcome, compensations, storedAtMs });
  };
  return { records, outcome, ended };
}

/** Waits for all steps. Here a cancel from outside, or a failure on another node, cancels the rest; a failure on this node has done so at once. */
async function waitForSteps(context: ObjectContext & internal.ContextInternal, execution: AttemptExecution): Promise<StepRecord[]> {
  const records: StepRecord[] = [];
  const steps = new Map(
    STEPS.map((name, index) => {
      const running = context.run<StepRecord>(name, () => execution.perform(name));
      return [
        index,
        running.map((record) => {
          records[index] = record as StepRecord;
          execution.recorded(name, record as StepRecord);
          return index;
        }),
      ] as const;
    }),
  );
  const cancels = [
    context.signal<CancelCause>(cancelSignal(execution.token)).map((cause) => cause ?? "client_disconnected"),
    // The engine's own cancel, made by an operator.
    context.cancellation().map((): CancelCause => "client_disconnected"),
  ];
  let listening: readonly RestatePromise<CancelCause>[] = cancels;
  while (steps.size > 0) {
    const first = await RestatePromise.race<readonly RestatePromise<number | CancelCause>[]>([...steps.values(), ...listening]);
    if (typeof first === "number") steps.delete(first);
    else {
      execution.cancel(first);
      listening = [];
    }
  }
  return records;
}

function inputOf({ orderId, amount, traceparent, simulation }: AttemptRequest, number: number): AttemptInput {
  return {
    orderId,
    amount,
    attempt: number,
    ...(traceparent !== undefined && { traceparent }),
    ...(simulation !== undefined && { simulation }),
  };
}

function resultOf({ token }: AttemptRequest, { attempt: number }: AttemptState, { end }: AttemptEnding): AttemptResult {
  return { type: "ended", attempt: number, token, fromOutside: end.fromOutside, answer: end.answer };
}

async function known(context: ObjectSharedContext, request: KnownRequest): Promise<KnownOrder | null> {
  return await knownOrder(context, request);
}

/** The attempt that runs, or ran last. */
async function latest(context: ObjectSharedContext): Promise<AttemptState | null> {
  return (await context.get<OrderHead>(HEAD))?.latest ?? null;
}
