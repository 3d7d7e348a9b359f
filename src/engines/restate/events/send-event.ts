import type { Context } from "@restatedev/restate-sdk";
import { sendToObject } from "../object-calls.ts";
import { type EventAdded, OBJECTS } from "../objects.ts";

/** Gives an event to its order's queue, one-way. Events that one handler or one object sends arrive in that order. */
export function sendEvent(ctx: Context, event: EventAdded): void {
  sendToObject(ctx, { service: OBJECTS.orderEvents, method: "add", key: event.orderId }, event);
}
