import { handlers, type ObjectContext, type ObjectSharedContext, object, rpc } from "@restatedev/restate-sdk";
import { DURABLE } from "../durable-options.ts";
import { OBJECTS } from "../objects.ts";
import { ORDER_EVENTS } from "./order-events-object.ts";

/** There is one receiver, so one object. */
export const RECEIVER_KEY = "receiver";

export interface ReceiverState {
  readonly disabled: boolean;
}

/** A walk over all orders whose events wait. */
export interface Wake {
  /** Which walk: a newer one ends it. */
  readonly walk: number;
  /** Orders up to this one have been woken. */
  readonly after: string;
}

const DISABLED = "disabled";
const WALK = "walk";
// A page takes the engine about as long as the pause, so orders keep their share of it.
const PAGE = 200;
const PAUSE_MS = 200;

/**
 * What all nodes share of the webhook receiver: whether it has answered 410, and who wakes the orders whose events wait when it takes them
 * again. `waitingAfter` lists such orders in the order of their ids.
 */
export function webhookReceiverObject(waitingAfter: (orderId: string, limit: number) => Promise<readonly string[]>) {
  return object({
    name: OBJECTS.webhookReceiver,
    handlers: {
      state: handlers.object.shared(async (ctx: ObjectSharedContext): Promise<ReceiverState> => {
        return { disabled: (await ctx.get<boolean>(DISABLED)) === true };
      }),

      async disable(ctx: ObjectContext): Promise<void> {
        ctx.set(DISABLED, true);
      },

      async resume(ctx: ObjectContext): Promise<void> {
        ctx.clear(DISABLED);
        await startWalk(ctx);
      },

      /** The receiver is up again: what waits need not wait for its own time. */
      async wakeAll(ctx: ObjectContext): Promise<void> {
        await startWalk(ctx);
      },

      async wake(ctx: ObjectContext, { walk, after }: Wake): Promise<void> {
        if ((await ctx.get<number>(WALK)) !== walk) return;
        const orderIds = await ctx.run("page", () => waitingAfter(after, PAGE));
        for (const orderId of orderIds) ctx.objectSendClient<typeof ORDER_EVENTS>(ORDER_EVENTS, orderId).deliver({});
        const last = orderIds.at(-1);
        if (last === undefined || orderIds.length < PAGE) return;
        walkOn(ctx, { walk, after: last }, PAUSE_MS);
      },
    },
    options: DURABLE,
  });

  async function startWalk(ctx: ObjectContext): Promise<void> {
    const walk = ((await ctx.get<number>(WALK)) ?? 0) + 1;
    ctx.set(WALK, walk);
    walkOn(ctx, { walk, after: "" }, 0);
  }
}

type WebhookReceiverObject = ReturnType<typeof webhookReceiverObject>;

const WEBHOOK_RECEIVER = { name: OBJECTS.webhookReceiver } as WebhookReceiverObject;

function walkOn(ctx: ObjectContext, wake: Wake, delay: number): void {
  ctx.objectSendClient<typeof WEBHOOK_RECEIVER>(WEBHOOK_RECEIVER, RECEIVER_KEY).wake(wake, rpc.sendOpts({ delay }));
}
