import type { Socket } from "node:net";

/** On a connection that ends with its last answer: the `bytesRead` from which on nothing more is read. */
const READ_UP_TO = Symbol("read up to");

// Closing a connection while bytes from the client are unread makes the kernel send a reset, which may overtake the last
// answer. So what still comes is read and thrown away, within bounds: a client that reads while it sends stops long
// before; one that sends everything first may have a few megabytes on their way.
const MAX_DISCARDED_BYTES = 8 * 1024 * 1024;
const MAX_LINGER_MS = 2_000;
// Node keeps all requests of a connection until it is closed, and takes the square of their number to let go of them: some
// hundred thousand of them, two seconds' worth, hold up the process for a minute.
const MAX_IGNORED_REQUESTS = 100;

/** On a connection that ends with its last answer: how many requests have come that nobody looks at. */
const IGNORED = Symbol("ignored");

type ClosingSocket = Socket & { [READ_UP_TO]?: number; [IGNORED]?: number };

/**
 * From now on the connection takes no more requests. With its last answer, which has to say `Connection: close`, this side
 * of it ends; the whole of it when the client has ended its side, or when it has sent too much or taken too long.
 */
export function lingeringClose(socket: Socket): void {
  if (isClosing(socket)) return;
  (socket as ClosingSocket)[READ_UP_TO] = socket.bytesRead + MAX_DISCARDED_BYTES;
  // What Node calls when the last answer has been handed over; its own destroys the socket as soon as that is written.
  socket.destroySoon = () => {
    socket.end();
    const timer = setTimeout(() => socket.destroy(), MAX_LINGER_MS).unref();
    socket.once("close", () => clearTimeout(timer));
  };
}

export function isClosing(socket: Socket): boolean {
  return (socket as ClosingSocket)[READ_UP_TO] !== undefined;
}

/** To be called when something came that is thrown away: ends a connection on which that is too much. */
export function discarded(socket: Socket): void {
  const upTo = (socket as ClosingSocket)[READ_UP_TO];
  if (upTo !== undefined && socket.bytesRead > upTo) socket.destroy();
}

/** To be called for each request that came on a closing connection: ends one on which that are too many. */
export function ignored(socket: Socket): void {
  const closing = socket as ClosingSocket;
  closing[IGNORED] = (closing[IGNORED] ?? 0) + 1;
  if (closing[IGNORED] > MAX_IGNORED_REQUESTS) socket.destroy();
  else discarded(socket);
}
