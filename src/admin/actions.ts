import type { Request } from "express";
import type { OperatorActionName } from "../orders/operator-journal.ts";

/** An operator did something that is kept. The fields are for the log; `actor` as of `actorOf`. */
export type OnAction = (fields: { readonly actor: string; readonly action: OperatorActionName; readonly [field: string]: unknown }) => void;

/** Who sends a request of the admin listener, as it is kept with what they did: `key` and the key's name, or the address where there are no keys. */
export function actorOf({ res, socket }: Request): string {
  const client = res?.locals.client;
  return client === undefined ? (socket.remoteAddress ?? "unknown") : `key ${client}`;
}
