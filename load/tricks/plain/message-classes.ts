import type { ServerOptions } from "node:http";

/** Node's own classes: Express sets the prototype of each request and response. */
export function messageClasses(): ServerOptions {
  return {};
}
