import { Canceled, Failure, type TaskContext } from "../../../src/threads/worker/index.ts";
import { afterTurns, type Body, noted } from "./good-tasks.ts";
import type { MyNotes } from "./notes.ts";

/** Tasks that end and leave something behind, which goes on until it hears that they have ended. */
export const LEFTOVERS = {
  leavesLoop: leaving(({ me, context }) => {
    void heard(me, async () => {
      for (;;) {
        // Then the body's end is two turns of the event loop ago.
        const wasOver = me.hasEnded;
        await afterTurns();
        context.checkpoint();
        if (wasOver) me.leftoverPassed();
      }
    });
  }),
  leavesSleep: leaving(({ me, context }) => void heard(me, () => context.sleep(600_000))),
  leavesSleepLater: leaving(({ me, context, ms }) => {
    void heard(me, async () => {
      await new Promise((resolve) => setTimeout(resolve, ms));
      await context.sleep(600_000);
    });
  }),
  leavesSignal: leaving(({ me, context }) => hearsBySignal(me, context)),
  leavesSignalLater: leaving(({ me, context, ms }) => {
    // Made after the task's end, mostly.
    setTimeout(() => hearsBySignal(me, context), ms);
  }),
  leavesInterval: leaving(({ me, context }) => {
    const timer = setInterval(() => {
      const wasOver = me.hasEnded;
      try {
        context.checkpoint();
      } catch (error) {
        clearInterval(timer);
        hears(me, error);
        throw error;
      }
      // The end of a body and the end of its task are some microtasks apart.
      if (wasOver) setImmediate(() => setImmediate(() => context.cause === undefined && me.leftoverPassed()));
    }, 3);
  }),
} satisfies Record<string, Body>;

interface Left {
  readonly me: MyNotes;
  readonly context: TaskContext;
  readonly ms: number;
}

/** A third of them return at once, a third later, a third fail. */
function leaving(leave: (left: Left) => void): Body {
  return noted(async ({ n, ms }, context, me) => {
    me.leavesSomething();
    leave({ me, context, ms });
    if (n % 3 === 1) await context.sleep(ms);
    if (n % 3 === 2) throw new Failure({ n, kind: "left something" }, `left something ${n}`);
    return n;
  });
}

/** Runs until it throws, which must be for a cancel. */
async function heard(me: MyNotes, work: () => Promise<unknown>): Promise<void> {
  await work().catch((error: unknown) => hears(me, error));
}

/** The signal of a task that is canceled already is aborted when it is made, and fires no event. */
function hearsBySignal(me: MyNotes, { signal }: TaskContext): void {
  if (signal.aborted) hears(me, signal.reason);
  else signal.addEventListener("abort", () => hears(me, signal.reason), { once: true });
}

function hears(me: MyNotes, reason: unknown): void {
  if (Canceled.is(reason)) me.leftoverHeard();
  else throw reason;
}
