import { EventEmitter, once } from "node:events";
import { setTimeout as pause, setImmediate as turn } from "node:timers/promises";
import { Canceled, Failure, monotonicMs, type TaskContext, transfer } from "../../../src/threads/worker/index.ts";
import type { MyNotes, Work } from "./notes.ts";

/** A body, with the notes it makes of itself. */
export type Body = (work: Work, context: TaskContext, me: MyNotes) => unknown;

/** Tasks that do as the library asks: they hear their cancel within a millisecond or so, and end as `expected.ts` says. */
export const GOOD_TASKS = {
  nothing: () => undefined,
  value: noted(async ({ n }) => ({ n, text: `task ${n}`, list: [n, -n], map: new Map([[n, new Date(n)]]) })),
  sleep: noted(async ({ n, ms }, context, me) => {
    for (let left = ms; left > 0; left -= 5) {
      await context.sleep(Math.min(left, 5));
      me.acts();
    }
    return n;
  }),
  longSleep: noted(async ({ n }, context) => {
    // Nobody waits for so long: it ends by a cancel only.
    await context.sleep(600_000);
    return n;
  }),
  computeWithCheckpoints: noted(({ n, ms }, context, me) => {
    for (const endMs = monotonicMs() + ms; monotonicMs() < endMs; ) {
      for (let step = 0; step < 1_000; step++) Math.sqrt(step);
      context.checkpoint();
      me.acts();
    }
    return n;
  }),
  computeWithYield: noted(async ({ n, ms }, context, me) => {
    for (const endMs = monotonicMs() + ms; monotonicMs() < endMs; ) {
      for (let step = 0; step < 10_000; step++) Math.sqrt(step);
      await context.yield();
      me.acts();
    }
    return n;
  }),
  fetchLike: noted(async ({ n, ms }, { signal }) => {
    await pause(ms, undefined, { signal });
    return n;
  }),
  longFetchLike: noted(async (_work, { signal }) => {
    await once(new EventEmitter(), "never", { signal });
  }),
  onCancel: noted(
    ({ n, ms }, context) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => resolve(n), ms);
        context.onCancel((cause) => {
          clearTimeout(timer);
          reject(new Canceled(cause));
        });
      }),
  ),
  inner: noted(async ({ n, ms }, context) => {
    // Leaves that sleep, each with a listener of its own, of which most go before they are called.
    const leaves = await Promise.all(Array.from({ length: 5 }, (_, leaf) => context.sleep(ms + leaf).then(() => leaf)));
    return leaves.length * n;
  }),
  transfer: noted(async ({ n }) => {
    const bytes = new Uint8Array(1 + (n % 5_000)).fill(n & 255);
    return transfer(bytes, [bytes.buffer]);
  }),
  failure: noted(async ({ n }) => {
    throw new Failure({ n, kind: "declined" }, `declined ${n}`);
  }),
  failureThatKeepsSiblings: noted(async ({ n, ms }, context) => {
    await context.sleep(ms % 10);
    throw new Failure({ n, kind: "again" }, `again ${n}`, { keepsSiblings: true });
  }),
  progress: noted(async ({ n, ms }, context) => {
    context.progress = { n };
    await context.sleep(ms);
    throw new TypeError(`no progress after ${n}`);
  }),
} satisfies Record<string, Body>;

/** Notes how the body ended, whether or not it is async. */
export function noted(body: Body): Body {
  return async (work, context, me) => {
    let value: unknown;
    try {
      value = await body(work, context, me);
    } catch (error) {
      const isStopped = Canceled.is(error) || (error instanceof Error && error.name === "AbortError");
      me.ends(isStopped ? "stopped" : "threw");
      throw error;
    }
    me.ends("returned");
    return value;
  };
}

/** Lets what the task's end has set going come to its end. */
export async function afterTurns(): Promise<void> {
  await turn();
  await turn();
}
