import type { Socket } from "node:net";

/** On a closing connection: reading stops at this `bytesRead`. */
const READ_UP_TO = Symbol("read up to");

// The kernel sends a reset when a connection is closed with unread bytes, and the reset may overtake the last answer. So this side reads and
// discards what the client still sends, up to a limit. A client that reads while it sends stops long before; a client that
// sends everything first may have a few megabytes on their way.
const MAX_DISCARDED_BYTES = 8 * 1024 * 1024;
const MAX_LINGER_MS = 2_000;
// Node keeps all requests of a connection until the connection is closed, and frees them in quadratic time: a hundred thousand requests, which
// arrive in two seconds, stall the process for a minute.
const MAX_IGNORED_REQUESTS = 100;

/** On a closing connection: how many requests have been ignored. */
const IGNORED = Symbol("ignored");

type ClosingSocket = Socket & { [READ_UP_TO]?: number; [IGNORED]?: number };

/**
 * Begins a lingering close: this side takes no more requests, ends the connection with its last answer (which has to say `Connection:
 * close`), and destroys it when the client has ended its side, has sent too much or has taken too long.
 */
export function lingeringClose(socket: Socket): void {
  if (isClosing(socket)) return;
  (socket as ClosingSocket)[READ_UP_TO] = socket.bytesRead + MAX_DISCARDED_BYTES;
  // Node calls this after the last answer. Node's own version destroys the socket as soon as the answer is written.
  socket.destroySoon = () => {
    socket.end();
    const timer = setTimeout(() => socket.destroy(), MAX_LINGER_MS).unref();
    socket.once("close", () => clearTimeout(timer));
  };
}

export function isClosing(socket: Socket): boolean {
  return (socket as ClosingSocket)[READ_UP_TO] !== undefined;
}

/** Call it when bytes were discarded: destroys a connection that has sent too many. */
export function discarded(socket: Socket): void {
  const upTo = (socket as ClosingSocket)[READ_UP_TO];
  if (upTo !== undefined && socket.bytesRead > upTo) socket.destroy();
}

/** Call it for each request on a closing connection: destroys a connection that has sent too many. */
export function ignored(socket: Socket): void {
  const closing = socket as ClosingSocket;
  closing[IGNORED] = (closing[IGNORED] ?? 0) + 1;
  if (closing[IGNORED] > MAX_IGNORED_REQUESTS) socket.destroy();
  else discarded(socket);
}
