import { threadId } from "node:worker_threads";
import type { SpanData } from "../../src/orders/span-data.ts";
import type { StepInput } from "../../src/orders/step.ts";
import { type StepFailure, stepOf } from "../../src/orders/step-task.ts";
import type { SpansNews } from "../../src/telemetry/thread-news.ts";
import { type CanceledOutcome, type FailedOutcome, monotonicMs, post, type TaskObserver } from "../../src/threads/worker/index.ts";

type Attributes = Record<string, string | number>;

/** A span that this thread makes. */
class Span {
  readonly traceId: string;
  readonly spanId = newSpanId();
  protected readonly attributes: Attributes;
  readonly #own: Pick<SpanData, "name" | "kind" | "parentSpanId" | "startedAtMs">;

  constructor(traceId: string, own: Pick<SpanData, "name" | "kind" | "parentSpanId" | "startedAtMs">, attributes: Attributes) {
    this.traceId = traceId;
    this.#own = own;
    this.attributes = { "thread.id": threadId, ...attributes };
  }

  /** Ends and sends the span. */
  protected end(error: string | undefined, endedAtMs: number, events: SpanData["events"] = []): void {
    const { traceId, spanId, attributes } = this;
    send({ ...this.#own, traceId, spanId, endedAtMs, attributes, error, events });
  }
}

/** The span of one step, on the thread that runs it. */
export class StepSpan extends Span implements TaskObserver {
  /** Undefined where the order has no trace or the trace is not sampled. Keeps no reference to the input. */
  static begin(task: string, { orderId, attempt, traceparent }: StepInput, startedAtMs: number): StepSpan | undefined {
    if (traceparent === undefined || !isSampled(traceparent)) return undefined;
    const { name: step, action } = stepOf(task);
    const attributes = { "order.id": orderId, "order.attempt": attempt, "step.name": step, "step.action": action };
    const own = { name: task, kind: "internal", parentSpanId: traceparent.slice(36, 52), startedAtMs } as const;
    return new StepSpan(traceparent.slice(3, 35), own, attributes);
  }

  /** Begins the span of a call to a provider. */
  call(method: string, url: URL): CallSpan {
    return new CallSpan(this, method, url);
  }

  /** Ends and sends the span. `outcome`: null for ok. */
  ended(outcome: FailedOutcome | CanceledOutcome | null, endedAtMs: number): void {
    const { attributes } = this;
    attributes["step.status"] = outcome?.status ?? "ok";
    if (outcome?.status === "canceled") {
      const cause = { "cancel.cause": outcome.cause };
      Object.assign(attributes, cause);
      this.end(`canceled: ${outcome.cause}`, endedAtMs, [{ name: "stopped", atMs: endedAtMs, attributes: cause }]);
    } else if (outcome?.status === "failed") {
      const kind = (outcome.data as StepFailure | undefined)?.[0] ?? "internal";
      attributes["error.type"] = kind;
      this.end(kind, endedAtMs);
    } else this.end(undefined, endedAtMs);
  }
}

/** The span of one call to a provider. Ends with `answered` or `failed`. */
export class CallSpan extends Span {
  constructor(parent: StepSpan, method: string, url: URL) {
    // Only the last segment of the path, which this project sets: the operator's part of the URL may hold a secret.
    const path = url.pathname.slice(url.pathname.lastIndexOf("/"));
    super(
      parent.traceId,
      { name: `${method} ${path}`, kind: "client", parentSpanId: parent.spanId, startedAtMs: monotonicMs() },
      {
        "http.request.method": method,
        "url.template": path,
        "server.address": url.hostname,
        "server.port": Number(url.port) || (url.protocol === "https:" ? 443 : 80),
      },
    );
  }

  /** The trace context for the provider, whose spans become children of this one. */
  get traceparent(): string {
    return `00-${this.traceId}-${this.spanId}-01`;
  }

  answered(status: number): void {
    this.attributes["http.response.status_code"] = status;
    const isError = status >= 400;
    if (isError) this.attributes["error.type"] = String(status);
    this.end(isError ? `HTTP ${status}` : undefined, monotonicMs());
  }

  /** `cause`: the cause of the cancel that ended the call; undefined where the call failed by itself. */
  failed(error: unknown, cause: string | undefined): void {
    if (cause !== undefined) this.attributes["cancel.cause"] = cause;
    else this.attributes["error.type"] = reasonOf(error);
    this.end(cause === undefined ? reasonOf(error) : `canceled: ${cause}`, monotonicMs());
  }
}

let unsent: SpanData[] = [];
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
  unsent.push(span);
  if (unsent.length === 1) setImmediate(postSpans);
}

/** To be called before the outcomes of these steps are posted: after them the service may stop, and this thread with it. */
export function postSpans(): void {
  if (unsent.length === 0) return;
  const spans = unsent;
  unsent = [];
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
