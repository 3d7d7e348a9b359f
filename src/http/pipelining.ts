import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** On a connection: how many requests wait behind the one whose turn it is. */
const WAITING = Symbol("waiting");

// One that waits holds some 2 KB, and one read from a socket may bring two thousand. The few clients that pipeline at all send some tens of
// requests ahead.
const MAX_WAITING = 100;

/** Node's private field of a server's socket, and the count of this file. */
type PipeliningSocket = Socket & { readonly _httpMessage?: ServerResponse | null; [WAITING]?: number };

/** Whether a request has come before the one ahead of it on its connection was answered. */
export function isPipelined(response: ServerResponse, socket: Socket): boolean {
  return (socket as PipeliningSocket)._httpMessage !== response;
}

/**
 * Has a pipelined request served once those ahead of it are answered, by a call of `serve` on its response. So a connection has one request
 * at work however many it sends: its client may never read an answer. Returns false, and does nothing, where too many wait. Node stops reading
 * only after all requests of one read.
 */
export function mayWait(response: ServerResponse, socket: Socket, serve: (this: ServerResponse) => void): boolean {
  const pipelining = socket as PipeliningSocket;
  const waiting = pipelining[WAITING] ?? 0;
  if (waiting >= MAX_WAITING) return false;
  pipelining[WAITING] = waiting + 1;
  // Node gives a response the socket when its turn has come; never, where the connection is closed before.
  response.on("socket", hasTurn).on("socket", serve);
  return true;
}

function hasTurn(socket: PipeliningSocket): void {
  socket[WAITING] = (socket[WAITING] ?? 0) - 1;
}
