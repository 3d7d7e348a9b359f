import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** A listening HTTP server. */
export interface Listener {
  readonly host: string;
  readonly port: number;
  /** Stops accepting, ends idle connections and resolves when the last request has been answered. */
  close(): Promise<void>;
}

/** Listens, or throws one line that names what could not be had. */
export async function listen(name: string, host: string, port: number, handler: RequestListener): Promise<Listener> {
  const server = createServer(handler);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(new ListenError(explain(name, host, port, error))));
    server.listen(port, host, resolve);
  });
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

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}
