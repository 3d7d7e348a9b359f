import { threadId } from "node:worker_threads";
import type { SpanData } from "../../src/orders/span-data.ts";
import type { StepInput } from "../../src/orders/step.ts";
import { type StepFailure, stepOf } from "../../src/orders/step-task.ts";
import type { SpansNews } from "../../src/telemetry/thread-news.ts";
import { type CanceledOutcome, type FailedOutcome, monotonicMs, post, type TaskObserver } from "../../src/threads/worker/index.ts";

type Attributes = Record<string, string | number>;

/** The span of one step, on the thread that runs it. */
export class StepSpan implements TaskObserver {
  readonly #name: string;
  readonly #traceId: string;
  readonly #parentSpanId: string;
  readonly #spanId = newSpanId();
  readonly #startedAtMs: number;
  readonly #attributes: Attributes;

  private constructor(name: string, traceparent: string, attributes: Attributes, startedAtMs: number) {
    this.#name = name;
    this.#traceId = traceparent.slice(3, 35);
    this.#parentSpanId = traceparent.slice(36, 52);
    this.#attributes = attributes;
    this.#startedAtMs = startedAtMs;
  }

  /** Undefined where the order has no trace or the trace is not sampled. Keeps no reference to the input. */
  static begin(task: string, { orderId, attempt, traceparent }: StepInput, startedAtMs: number): StepSpan | undefined {
    if (traceparent === undefined || !isSampled(traceparent)) return undefined;
    const { name: step, action } = stepOf(task);
    const attributes = { "thread.id": threadId, "order.id": orderId, "order.attempt": attempt, "step.name": step, "step.action": action };
    return new StepSpan(task, traceparent, attributes, startedAtMs);
  }

  /** Begins the span of a call to a provider. */
  call(method: string, url: URL): CallSpan {
    return new CallSpan(this.#traceId, this.#spanId, method, url);
  }

  /** Ends and sends the span. `outcome`: null for ok. */
  ended(outcome: FailedOutcome | CanceledOutcome | null, endedAtMs: number): void {
    const attributes = this.#attributes;
    attributes["step.status"] = outcome?.status ?? "ok";
    let error: string | undefined;
    const events: SpanData["events"][number][] = [];
    if (outcome?.status === "canceled") {
      attributes["cancel.cause"] = outcome.cause;
      error = `canceled: ${outcome.cause}`;
      events.push({ name: "stopped", atMs: endedAtMs, attributes: { "cancel.cause": outcome.cause } });
    } else if (outcome?.status === "failed") {
      error = (outcome.data as StepFailure | undefined)?.[0] ?? "internal";
      attributes["error.type"] = error;
    }
    send({
      name: this.#name,
      kind: "internal",
      traceId: this.#traceId,
      spanId: this.#spanId,
      parentSpanId: this.#parentSpanId,
      startedAtMs: this.#startedAtMs,
      endedAtMs,
      attributes,
      error,
      events,
    });
  }
}

/** The span of one call to a provider. Ends with `answered` or `failed`. */
export class CallSpan {
  readonly #traceId: string;
  readonly #parentSpanId: string;
  readonly #spanId = newSpanId();
  readonly #name: string;
  readonly #startedAtMs = monotonicMs();
  readonly #attributes: Attributes;

  constructor(traceId: string, parentSpanId: string, method: string, url: URL) {
    this.#traceId = traceId;
    this.#parentSpanId = parentSpanId;
    // Only the last segment of the path, which this project sets: the operator's part of the URL may hold a secret.
    const path = url.pathname.slice(url.pathname.lastIndexOf("/"));
    this.#name = `${method} ${path}`;
    this.#attributes = {
      "thread.id": threadId,
      "http.request.method": method,
      "url.template": path,
      "server.address": url.hostname,
      "server.port": Number(url.port) || (url.protocol === "https:" ? 443 : 80),
    };
  }

  /** The trace context for the provider, whose spans become children of this one. */
  get traceparent(): string {
    return `00-${this.#traceId}-${this.#spanId}-01`;
  }

  answered(status: number): void {
    this.#attributes["http.response.status_code"] = status;
    const isError = status >= 400;
    if (isError) this.#attributes["error.type"] = String(status);
    this.#end(isError ? `HTTP ${status}` : undefined);
  }

  /** `cause`: the cause of the cancel that ended the call; undefined where the call failed by itself. */
  failed(error: unknown, cause: string | undefined): void {
    if (cause !== undefined) {
      this.#attributes["cancel.cause"] = cause;
      this.#end(`canceled: ${cause}`);
    } else {
      const reason = reasonOf(error);
      this.#attributes["error.type"] = reason;
      this.#end(reason);
    }
  }

  #end(error: string | undefined): void {
    send({
      name: this.#name,
      kind: "client",
      traceId: this.#traceId,
      spanId: this.#spanId,
      parentSpanId: this.#parentSpanId,
      startedAtMs: this.#startedAtMs,
      endedAtMs: monotonicMs(),
      attributes: this.#attributes,
      error,
      events: [],
    });
  }
}

let ended: SpanData[] = [];
let tracing = false;

/** Whether the steps of this thread have spans. Once per thread. */
export function traceSteps(on: boolean): void {
  tracing = on;
}

/** The span of a step that begins; undefined where it has none. */
export function observeStep(task: string, input: unknown, startedAtMs: number): StepSpan | undefined {
  return tracing ? StepSpan.begin(task, input as StepInput, startedAtMs) : undefined;
}

/** The span of the step that this observes; undefined where it has none. */
export function spanOf(observer: TaskObserver | undefined): StepSpan | undefined {
  return observer instanceof StepSpan ? observer : undefined;
}

/** The spans of one turn of the event loop go out in one message. */
function send(span: SpanData): void {
  ended.push(span);
  if (ended.length === 1) setImmediate(postSpans);
}

/** Posts the ended spans. Call it before the outcomes of their steps are posted: after these the service may stop, and with it this thread. */
export function postSpans(): void {
  if (ended.length === 0) return;
  const spans = ended;
  ended = [];
  post({ type: "spans", spans } satisfies SpansNews);
}

function isSampled(traceparent: string): boolean {
  return (Number.parseInt(traceparent.slice(53, 55), 16) & 1) === 1;
}

// An id has to be unique, not hard to guess, and a secure random number costs more than the rest of a span.
function newSpanId(): string {
  return word() + word();
}

function word(): string {
  // Never 0: an id of zeros is invalid.
  return (((Math.random() * 0xffffffff) >>> 0) + 1).toString(16).padStart(8, "0").slice(-8);
}

/** The code of an error, such as ECONNREFUSED, or its class. Not its message, which may quote a request or an answer. */
export function reasonOf(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return String(code ?? name);
}
