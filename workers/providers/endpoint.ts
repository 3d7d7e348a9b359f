import { type CancelSource, type Post, type PostAnswer, postTo } from "../../src/resilience/post.ts";
import type { StepSpan } from "../telemetry/step-span.ts";

// An answer to a call is some hundred bytes. Reading this much is cheaper than a new connection; more is not.
const MAX_BODY_BYTES = 64 * 1024;
// The body of an honest answer comes with its head. A guess, small beside an order's deadline.
const MAX_BODY_MS = 100;

export interface EndpointCall {
  readonly key: string;
  readonly body: object;
  /** Sent as it is where the call has no span of its own. */
  readonly traceparent: string | undefined;
  /** The span of the step that calls; undefined where there is none. */
  readonly span: StepSpan | undefined;
  /** Its cancel closes the socket. */
  readonly cancelable: CancelSource & { readonly cause: string | undefined };
}

export class Endpoint {
  readonly #url: URL;
  readonly #post: Post;
  readonly #authorization: string | undefined;

  /** `base`, an http or https URL, may carry a path and end in a slash. `bearer`: the key that the provider knows this service by. */
  constructor(base: string, path: string, bearer?: string) {
    const url = new URL(base);
    url.pathname = `${url.pathname.replace(/\/+$/, "")}/${path}`;
    this.#url = url;
    this.#post = postTo(url, { maxBytes: MAX_BODY_BYTES, maxMs: MAX_BODY_MS });
    this.#authorization = bearer === undefined ? undefined : `Bearer ${bearer}`;
  }

  /** Sends one call and returns its answer. Rejects with what broke the connection, or at the cancel. */
  post(call: EndpointCall): Promise<PostAnswer> {
    return call.span === undefined ? this.#send(call, call.traceparent) : this.#sendTraced(call, call.span);
  }

  async #sendTraced(call: EndpointCall, stepSpan: StepSpan): Promise<PostAnswer> {
    const span = stepSpan.call("POST", this.#url);
    try {
      const answer = await this.#send(call, span.traceparent);
      span.answered(answer.status);
      return answer;
    } catch (error) {
      span.failed(error, call.cancelable.cause);
      throw error;
    }
  }

  #send({ key, body, cancelable }: EndpointCall, traceparent: string | undefined): Promise<PostAnswer> {
    const headers: Record<string, string> = { "content-type": "application/json", "idempotency-key": key };
    if (traceparent !== undefined) headers.traceparent = traceparent;
    if (this.#authorization !== undefined) headers.authorization = this.#authorization;
    return this.#post({ headers, body: JSON.stringify(body), cancelable });
  }
}
