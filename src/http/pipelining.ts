import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** How many responses of a connection wait behind the one whose turn it is. */
const QUEUED = Symbol("queued");

// A request that waits in line holds some 4 KB, and one read from a socket may bring two thousand of them. The few clients
// that pipeline at all send some tens ahead.
const MAX_QUEUED = 100;

/** What Node hangs on a server's socket, and what is counted here. */
type PipeliningSocket = Socket & { readonly _httpMessage?: ServerResponse | null; [QUEUED]?: number };

/** Whether a request came before that before it on its connection was answered. */
export function isPipelined(response: ServerResponse, socket: Socket): boolean {
  return (socket as PipeliningSocket)._httpMessage !== response;
}

/**
 * Whether a response that is in line may stay there; then it is counted until it is over. Node itself stops reading only when
 * answers have piled up, and only after all requests of what it has read.
 */
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
