import { type ObjectContext, object, rpc } from "@restatedev/restate-sdk";
import { DURABLE } from "../durable-options.ts";
import { type EventAdded, OBJECTS } from "../objects.ts";
import type { EventSender, Sent } from "./event-sender.ts";
import {
  type BuriedEvent,
  buried,
  DEAD,
  type EventQueue,
  expiresMs,
  pauseMs,
  QUEUE,
  type WaitingEvent,
  waitingEvent,
} from "./order-events-state.ts";

/** Which turn a delivery was scheduled as; absent: now, whatever is scheduled. */
export interface DeliverRequest {
  readonly turn?: number;
}

export interface RedeliverRequest {
  readonly eventId: string;
  readonly nowMs: number;
}

/** What a turn came to, as the engine keeps it. */
interface TurnEnd {
  readonly sent: Sent;
  readonly nowMs: number;
}

/**
 * The events of one order, delivered at least once and strictly one after another: an event leaves the queue, durably, before the next
 * one goes. Nothing waits inside a handler: the next try is a delayed call of the object to itself. `sender` is absent where no receiver
 * is configured any more: what waits from before is kept for its 24 hours.
 */
export function orderEventsObject(sender: Pick<EventSender, "send"> | undefined) {
  return object({
    name: OBJECTS.orderEvents,
    handlers: {
      async add(ctx: ObjectContext, event: EventAdded): Promise<void> {
        await append(ctx, waitingEvent(`evt_${ctx.rand.uuidv4()}`, event));
      },

      async deliver(ctx: ObjectContext, { turn }: DeliverRequest): Promise<void> {
        const queue = await ctx.get<EventQueue>(QUEUE);
        if (queue !== null && (turn === undefined || turn === queue.turn)) await deliverAll(ctx, queue);
      },

      /** Puts a dead letter behind all other events of its order, with its whole time before it. False where there is none. */
      async redeliver(ctx: ObjectContext, { eventId, nowMs }: RedeliverRequest): Promise<boolean> {
        const dead = await ctx.get<BuriedEvent>(`${DEAD}${eventId}`);
        if (dead === null) return false;
        ctx.clear(`${DEAD}${eventId}`);
        const queue = await ctx.get<EventQueue>(QUEUE);
        const { id, payload, createdMs } = dead;
        const events = [...(queue?.events ?? []), { id, payload, createdMs, sinceMs: nowMs, tries: 0, held: 0 }];
        // The operator's answer does not wait for the receiver.
        ctx.set<EventQueue>(QUEUE, { turn: queue?.turn ?? 0, events });
        if (queue === null) schedule(ctx, 0, 0);
        return true;
      },
    },
    options: DURABLE,
  });

  async function append(ctx: ObjectContext, event: WaitingEvent): Promise<void> {
    const queue = await ctx.get<EventQueue>(QUEUE);
    const appended = { turn: queue?.turn ?? 0, events: [...(queue?.events ?? []), event] };
    // Before the first try, so that it counts as waiting while that is under way.
    ctx.set<EventQueue>(QUEUE, appended);
    if (queue === null) await deliverAll(ctx, appended);
  }

  /** Until all are delivered, or one has to wait. */
  async function deliverAll(ctx: ObjectContext, queue: EventQueue): Promise<void> {
    let { events } = queue;
    for (let first = events[0]; first !== undefined; first = events[0]) {
      const event = first;
      const { sent, nowMs } = await ctx.run("deliver", async (): Promise<TurnEnd> => {
        const sent = sender === undefined ? withoutReceiver(event) : await sender.send(ctx.key, event);
        return { sent, nowMs: Date.now() };
      });
      const rest = events.slice(1);
      if (sent.type === "dead") ctx.set<BuriedEvent>(`${DEAD}${event.id}`, buried(event, sent.reason, nowMs));
      if (sent.type !== "dead" && sent.type !== "delivered") {
        wait(ctx, queue.turn + 1, [counted(event, sent), ...rest], sent);
        return;
      }
      events = rest;
      if (events.length > 0) ctx.set<EventQueue>(QUEUE, { ...queue, events });
    }
    ctx.clear(QUEUE);
  }

  function wait(ctx: ObjectContext, turn: number, events: readonly WaitingEvent[], sent: Sent): void {
    ctx.set<EventQueue>(QUEUE, { turn, events });
    const retryAfterMs = sent.type === "failed" ? sent.retryAfterMs : 0;
    schedule(
      ctx,
      turn,
      pauseMs(events[0] as WaitingEvent, retryAfterMs, () => ctx.rand.random()),
    );
  }
}

type OrderEventsObject = ReturnType<typeof orderEventsObject>;

/** How other objects call this one. */
export const ORDER_EVENTS = { name: OBJECTS.orderEvents } as OrderEventsObject;

/** Gives an event to the queue of its order, one-way. Events that one handler or one object sends arrive in that order. */
export function sendEvent(ctx: ObjectContext, event: EventAdded): void {
  ctx.objectSendClient<typeof ORDER_EVENTS>(ORDER_EVENTS, event.orderId).add(event);
}

function withoutReceiver(event: WaitingEvent): Sent {
  return Date.now() >= expiresMs(event) ? { type: "dead", reason: "no receiver is configured" } : { type: "disabled" };
}

function counted(event: WaitingEvent, { type }: Sent): WaitingEvent {
  return type === "failed" ? { ...event, tries: event.tries + 1 } : { ...event, held: event.held + 1 };
}

function schedule(ctx: ObjectContext, turn: number, delay: number): void {
  ctx.objectSendClient<typeof ORDER_EVENTS>(ORDER_EVENTS, ctx.key).deliver({ turn }, rpc.sendOpts({ delay }));
}
