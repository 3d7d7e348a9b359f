import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** On a connection: how many responses wait behind the one whose turn it is. */
const QUEUED = Symbol("queued");

// A queued request holds some 4 KB, and one read from a socket may bring two thousand. The few clients that pipeline at all
// send some tens of requests ahead.
const MAX_QUEUED = 100;

/** Node's private field of a server's socket, and the count of this file. */
type PipeliningSocket = Socket & { readonly _httpMessage?: ServerResponse | null; [QUEUED]?: number };

/** Whether a request arrived before the one ahead of it on its connection was answered. */
export function isPipelined(response: ServerResponse, socket: Socket): boolean {
  return (socket as PipeliningSocket)._httpMessage !== response;
}

/** Whether a pipelined response may wait for its turn; it is counted then. Node stops reading only after all requests of one read. */
export function mayQueue(response: ServerResponse, socket: Socket): boolean {
  const pipelining = socket as PipeliningSocket;
  const queued = pipelining[QUEUED] ?? 0;
  if (queued >= MAX_QUEUED) return false;
  pipelining[QUEUED] = queued + 1;
  response.once("close", () => {
    pipelining[QUEUED] = (pipelining[QUEUED] ?? 0) - 1;
  });
  return true;
}
