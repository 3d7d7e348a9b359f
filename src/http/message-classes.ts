import type { IncomingMessage, ServerOptions, ServerResponse } from "node:http";
import type { Express } from "express";
import { nodeHttp } from "../node-http.ts";

/**
 * Classes whose objects have this application's prototypes from the start. Otherwise Express sets them, and V8 moves each object to another
 * shape. Saves 2 us of CPU an order, 3 to 4 % (`npm run bench:tricks`).
 */
export function messageClasses(app: Express): ServerOptions {
  const http = nodeHttp();
  return {
    IncomingMessage: subclass(http.IncomingMessage, app.request),
    ServerResponse: subclass(http.ServerResponse, app.response),
  };
}

function subclass<Base extends typeof IncomingMessage | typeof ServerResponse>(base: Base, prototype: object): Base {
  function Message(...args: unknown[]): object {
    return Reflect.construct(base, args, Message);
  }
  Message.prototype = prototype;
  return Message as unknown as Base;
}
