import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Express } from "express";
import { messageClasses } from "./message-classes.ts";

/** A listening HTTP server. */
export interface Listener {
  readonly host: string;
  readonly port: number;
  /** Stops accepting, ends idle connections at once and the others a second later, and resolves when all are closed. */
  close(): Promise<void>;
}

/** Listens, or throws one line that names what could not be had. `onFault` gets what goes wrong later on. */
export async function listen(
  name: string,
  host: string,
  port: number,
  app: Express,
  onFault: (message: string, error: unknown) => void,
): Promise<Listener> {
  const server = createServer(messageClasses(app), app);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(new ListenError(explain(name, host, port, error))));
    server.listen(port, host, resolve);
  });
  // Such as a process that has no file descriptor left for one more connection: no reason to end those it has.
  server.on("error", (error) => onFault(`${name}: a connection could not be accepted`, error));
  return { host, port: (server.address() as AddressInfo).port, close: () => close(server) };
}

/** The address cannot be listened on. */
export class ListenError extends Error {}

function explain(name: string, host: string, port: number, { code, message }: NodeJS.ErrnoException): string {
  if (code === "EADDRINUSE") return `${name}: ${host}:${port} is already in use`;
  if (code === "EACCES") return `${name}: no permission to listen on ${host}:${port}`;
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") return `${name}: ${host} is not an address of this machine`;
  return `${name}: cannot listen on ${host}:${port}: ${message}`;
}

// Answers are ready when a listener is closed; this is for them to go out.
const CLOSE_GRACE_MS = 1_000;

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // A client that never sends the rest of its request would keep the server for ever.
    const timer = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}
