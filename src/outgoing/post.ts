import { Agent as HttpAgent, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { urlToHttpOptions } from "node:url";
import { type BodyLimits, discardBody } from "./discard-body.ts";

/** What one POST says. */
export interface PostRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
  /** Its cancel closes the socket. */
  readonly cancelable: Cancelable;
}

/** Whatever a call can be canceled by. Calls the listener at the cancel, or at once when that has already happened. */
export interface Cancelable {
  onCancel(listener: () => void): { unsubscribe(): void };
}

/** What is looked at of an answer. */
export interface PostAnswer {
  readonly status: number;
  /** The header as it came. */
  readonly retryAfter: string | undefined;
}

/**
 * Sends one POST and returns its answer, once the body is out of the way. Rejects with what broke
 * the connection, or at the cancel, before the answer's head was there: from then on its status stands, whatever becomes of the body.
 */
export type Post = (request: PostRequest) => Promise<PostAnswer>;

// Many servers close a connection that was idle for five seconds, and a call that meets the closing has an unknown outcome: this
// side closes first. The connection used last is used next, so that those too many become idle.
const KEPT = { keepAlive: true, scheduling: "lifo", timeout: 4_000 } as const;
const HTTP = { request: httpRequest, agent: new HttpAgent(KEPT) };
const HTTPS = { request: httpsRequest, agent: new HttpsAgent(KEPT) };

/**
 * How to POST to one http or https URL. All of a thread's share that thread's kept-alive connections. `node:http` and not
 * `fetch`, which costs three times the CPU time. No redirect is followed: a call, secrets and all, would go to wherever an
 * answer points. Canceled by a callback and not by an `AbortSignal`, whose events cost more. Any thread.
 */
export function postTo(url: URL, bodyLimits: BodyLimits): Post {
  const { request, agent } = url.protocol === "https:" ? HTTPS : HTTP;
  const target = { ...urlToHttpOptions(url), method: "POST", agent };
  return ({ headers, body, cancelable }) =>
    new Promise((resolve, reject) => {
      let answered = false;
      const outgoing = request({ ...target, headers }, (answer) => {
        answered = true;
        const status = answer.statusCode as number;
        const retryAfter = answer.headers["retry-after"];
        void discardBody(answer, bodyLimits).then(() => resolve({ status, retryAfter }));
      });
      // A connection that is reset, or a call that is canceled, within the body of an answer: the status was said, and stands.
      outgoing.on("error", (error) => {
        if (!answered) reject(error);
      });
      // Sends nothing before this turn ends, so that a cancel which is already there is in time.
      outgoing.end(body);
      // With an error, which is heard of at once: without one the caller would wait for the system to close the socket.
      const subscription = cancelable.onCancel(() => void outgoing.destroy(new Error("canceled")));
      outgoing.on("close", () => {
        subscription.unsubscribe();
        // Where the other side switches protocols there is neither an answer nor an error.
        if (!answered) reject(new Error("closed without an answer"));
      });
    });
}
