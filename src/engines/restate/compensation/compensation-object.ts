import { handlers, type ObjectContext, type ObjectSharedContext, object, rpc } from "@restatedev/restate-sdk";
import type { Tried } from "../../../orders/compensating.ts";
import type { CompensationRow } from "../../../orders/operator-journal.ts";
import type { FirstTry } from "../../../orders/order-journal.ts";
import { newTraceparent } from "../../../orders/traceparent.ts";
import { DURABLE } from "../durable-options.ts";
import { type CompensationBegin, type CompensationChanged, OBJECTS } from "../objects.ts";
import type { OrderObject } from "../order/order-object.ts";
import type { CompensationCalls, CompensationTurn } from "./compensation-calls.ts";
import { afterTurn, begun, type CompensationState, ENDED, firstTryOf, PENDING, rowOf, settled, statusOf } from "./compensation-state.ts";

/** `Compensation.settle`. */
export interface Settlement {
  readonly note: string;
  readonly nowMs: number;
}

/** What a turn came to, as the engine keeps it. */
interface TurnEnd {
  readonly tried?: Tried;
  readonly nowMs: number;
}

/**
 * One step of a failed attempt that has to be compensated: tried until it is done or an operator settles it, whatever dies meanwhile. Nothing
 * waits inside a handler: the next try is a delayed call of the object to itself, so an operator's call finds the object free.
 */
export function compensationObject(calls: Pick<CompensationCalls, "attempt">) {
  return object({
    name: OBJECTS.compensation,
    handlers: {
      /** The first try. The answer says how it went. */
      async begin(ctx: ObjectContext, request: CompensationBegin): Promise<FirstTry> {
        const known = await stateOf(ctx);
        if (known !== undefined) return firstTryOf(known);
        const state = begun(request);
        // Before the call, so that lists show it while the call is under way.
        ctx.set(PENDING, state);
        return firstTryOf(await takeTurn(ctx, "first", state, request.traceparent));
      },

      /** The try that was scheduled as this turn. */
      async retry(ctx: ObjectContext, turn: number): Promise<void> {
        const state = await ctx.get<CompensationState>(PENDING);
        if (state?.turn !== turn) return;
        report(ctx, await takeTurn(ctx, "retry", state));
      },

      /** An operator's try. Null where there is no such compensation. */
      async tryNow(ctx: ObjectContext): Promise<CompensationRow | null> {
        const state = await stateOf(ctx);
        if (state === undefined) return null;
        if (state.endedMs !== undefined) return rowOf(state);
        const after = await takeTurn(ctx, "now", state);
        report(ctx, after);
        return rowOf(after);
      },

      /** Leaves one that is not pending as it is. Null where there is none. */
      async settle(ctx: ObjectContext, { note, nowMs }: Settlement): Promise<CompensationRow | null> {
        const state = await stateOf(ctx);
        if (state === undefined) return null;
        if (state.endedMs !== undefined) return rowOf(state);
        const after = settled(state, note, nowMs);
        store(ctx, after);
        report(ctx, after);
        return rowOf(after);
      },

      /** For an order that has not waited for the answer of `begin`: tells it how that went. */
      async report(ctx: ObjectContext): Promise<void> {
        const state = await stateOf(ctx);
        if (state !== undefined) report(ctx, state);
      },

      /** Null where there is none. */
      row: handlers.object.shared(async (ctx: ObjectSharedContext): Promise<CompensationRow | null> => {
        const state = await stateOf(ctx);
        return state === undefined ? null : rowOf(state);
      }),
    },
    options: DURABLE,
  });

  async function takeTurn(
    ctx: ObjectContext,
    turn: CompensationTurn,
    state: CompensationState,
    traceparent?: string,
  ): Promise<CompensationState> {
    const { orderId, amount, attempt, step, tries } = state;
    const { tried, nowMs } = await ctx.run("compensate", async (): Promise<TurnEnd> => {
      const input = { orderId, amount, attempt, traceparent: traceparent ?? newTraceparent() };
      const tried = await calls.attempt(turn, step, input, tries);
      return { ...(tried !== undefined && { tried }), nowMs: Date.now() };
    });
    const after = afterTurn(state, tried, nowMs, () => ctx.rand.random());
    store(ctx, after);
    if (after.nextTryMs !== undefined) {
      const delay = Math.max(0, after.nextTryMs - nowMs);
      ctx.objectSendClient<typeof COMPENSATION>(COMPENSATION, ctx.key).retry(after.turn, rpc.sendOpts({ delay }));
    }
    return after;
  }
}

type CompensationObject = ReturnType<typeof compensationObject>;

/** How other objects call this one. */
export const COMPENSATION = { name: OBJECTS.compensation } as CompensationObject;

// Only its type is imported, for that module needs this one.
const ORDER = { name: OBJECTS.order } as OrderObject;

async function stateOf(ctx: Pick<ObjectContext, "get">): Promise<CompensationState | undefined> {
  return (await ctx.get<CompensationState>(PENDING)) ?? (await ctx.get<CompensationState>(ENDED)) ?? undefined;
}

function store(ctx: ObjectContext, state: CompensationState): void {
  if (state.endedMs === undefined) {
    ctx.set(PENDING, state);
    return;
  }
  ctx.clear(PENDING);
  ctx.set(ENDED, state);
}

function report(ctx: ObjectContext, state: CompensationState): void {
  const { orderId, attempt, step, tries } = state;
  const changed: CompensationChanged = { attempt, step, tries, status: statusOf(state) };
  ctx.objectSendClient<typeof ORDER>(ORDER, orderId).compensationChanged(changed);
}
