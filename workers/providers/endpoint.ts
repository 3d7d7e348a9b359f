import { type Cancelable, type Post, type PostAnswer, postTo } from "../../src/outgoing/post.ts";

// An answer to a call is some hundred bytes. Reading this much is cheaper than a new connection; more is not.
const MAX_BODY_BYTES = 64 * 1024;
// The body of an honest answer comes with its head. A guess, small beside an order's deadline.
const MAX_BODY_MS = 100;

/** What one call says. */
export interface EndpointCall {
  readonly key: string;
  readonly body: object;
  readonly traceparent: string | undefined;
  /** Its cancel closes the socket. */
  readonly cancelable: Cancelable;
}

/** One of a provider's addresses. */
export class Endpoint {
  readonly #post: Post;
  readonly #authorization: string | undefined;

  /** `base`, an http or https URL, may carry a path and end in a slash. `bearer`: the key that the provider knows this service by. */
  constructor(base: string, path: string, bearer?: string) {
    const url = new URL(base);
    url.pathname = `${url.pathname.replace(/\/+$/, "")}/${path}`;
    this.#post = postTo(url, { maxBytes: MAX_BODY_BYTES, maxMs: MAX_BODY_MS });
    this.#authorization = bearer === undefined ? undefined : `Bearer ${bearer}`;
  }

  /** Sends one call and returns its answer. Rejects with what broke the connection, or at the cancel. */
  post({ key, body, traceparent, cancelable }: EndpointCall): Promise<PostAnswer> {
    const headers: Record<string, string> = { "content-type": "application/json", "idempotency-key": key };
    if (traceparent !== undefined) headers.traceparent = traceparent;
    if (this.#authorization !== undefined) headers.authorization = this.#authorization;
    return this.#post({ headers, body: JSON.stringify(body), cancelable });
  }
}
