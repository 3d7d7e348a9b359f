import type { Readable } from "node:stream";
import { urlToHttpOptions } from "node:url";
import { nodeHttp, nodeHttps } from "../node-http.ts";

export interface PostRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
  /** Its cancel closes the socket. */
  readonly cancelable: CancelSource;
  /** Asked when a new connection is there, long after the call began where the process was frozen. False: rejects with `NotBegun`. */
  readonly mayBegin?: () => boolean;
}

/** Nothing of a call was sent, because it came to its connection too late. */
export class NotBegun extends Error {}

/** Tells when a call is to be canceled: calls the listener then, or at once if it has happened already. */
export interface CancelSource {
  onCancel(listener: () => void): { unsubscribe(): void };
}

export interface PostAnswer {
  readonly status: number;
  /** The header as it came. */
  readonly retryAfter: string | undefined;
}

/** How much of an answer's body is worth reading to keep its connection. */
export interface BodyLimits {
  readonly maxBytes: number;
  /** From the head of the answer on, 1 to 2^31-1. Without it only a cancel of the call ends a slow body. */
  readonly maxMs?: number;
}

/** Sends one POST. Rejects when the connection breaks, or at the cancel, before the head of the answer has come. Then the status counts. */
export type Post = (request: PostRequest) => Promise<PostAnswer>;

// Closed before the many servers that close after five idle seconds, which leaves a call in doubt. LIFO lets surplus connections idle.
const KEPT = { keepAlive: true, scheduling: "lifo", timeout: 4_000 } as const;
/** Errors of calls whose TLS connection had not come about: until then Node keeps back what is to be sent. */
const unsent = new WeakSet<object>();
const clients: { http?: HttpClient; https?: HttpClient } = {};

interface HttpClient {
  readonly request: typeof import("node:http").request;
  readonly agent: import("node:http").Agent;
}

/**
 * How to POST to one http or https URL. All calls of a thread share its kept-alive connections. No redirect is followed: the secrets of a
 * call would go wherever an answer points. Any thread.
 *
 * Rejected: `fetch`, which costs three times the CPU time, and an `AbortSignal`, whose events cost more than a callback.
 */
export function postTo(url: URL, bodyLimits: BodyLimits): Post {
  const { request, agent } = clientFor(url);
  const target = { ...urlToHttpOptions(url), method: "POST", agent };
  const connected = url.protocol === "https:" ? "secureConnect" : "connect";
  return ({ headers, body, cancelable, mayBegin }) =>
    new Promise((resolve, reject) => {
      let answered = false;
      const outgoing = request({ ...target, headers }, (answer) => {
        answered = true;
        const status = answer.statusCode as number;
        const retryAfter = answer.headers["retry-after"];
        void discardBody(answer, bodyLimits).then(() => resolve({ status, retryAfter }));
      });
      // An error within the body of an answer changes nothing: the status counts.
      outgoing.on("error", (error) => {
        if (answered) return;
        if ((outgoing.socket as { secureConnecting?: boolean } | null)?.secureConnecting) unsent.add(error);
        reject(error);
      });
      if (mayBegin !== undefined)
        outgoing.once("socket", (socket) => {
          // Before what waits for the connection is sent.
          if (socket.connecting) socket.once(connected, () => mayBegin() || outgoing.destroy(new NotBegun("the call came too late")));
        });
      // Nothing is sent before this turn of the event loop ends, so a cancel that has happened already is in time.
      outgoing.end(body);
      // The error rejects the call at once. Without it the caller would wait until the system has closed the socket.
      const subscription = cancelable.onCancel(() => void outgoing.destroy(new Error("canceled")));
      outgoing.on("close", () => {
        subscription.unsubscribe();
        // A server that switches protocols causes neither an answer nor an error.
        if (!answered) reject(new Error("closed without an answer"));
      });
    });
}

/** Made at a thread's first call: the simulated providers need no client. */
function clientFor({ protocol }: URL): HttpClient {
  if (protocol === "https:") {
    const { request, Agent } = nodeHttps();
    clients.https ??= { request, agent: new Agent(KEPT) };
    return clients.https;
  }
  const { request, Agent } = nodeHttp();
  clients.http ??= { request, agent: new Agent(KEPT) };
  return clients.http;
}

/** Drops an answer's body, so that the connection can be used again; closes it if the body is too long or too slow. Never rejects. */
export function discardBody(body: Readable, { maxBytes, maxMs }: BodyLimits): Promise<void> {
  return new Promise((resolve) => {
    let left = maxBytes;
    const timer = maxMs === undefined ? undefined : setTimeout(() => body.destroy(), maxMs);
    body.on("data", (chunk: Buffer) => {
      left -= chunk.byteLength;
      if (left < 0) body.destroy();
    });
    // The connection broke, or the call was canceled: there is nothing left to close.
    body.on("error", () => {});
    body.on("close", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/**
 * Whether an error of `postTo` means that not one byte of the request has left. Decides by the handshake and the system call, not by the code:
 * a timeout may also end a connection in use.
 */
export function neverSent(error: unknown): boolean {
  if (error instanceof Error && unsent.has(error)) return true;
  // Node tries all addresses of a host name, and gives one error for each.
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isBeforeConnected);
  return isBeforeConnected(error);
}

function isBeforeConnected(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { syscall } = error as { syscall?: unknown };
  return syscall === "connect" || syscall === "getaddrinfo";
}
