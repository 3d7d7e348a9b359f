import { execFileSync } from "node:child_process";
import { monotonicMs } from "../../../src/threads/worker/index.ts";
import { type Body, noted } from "./good-tasks.ts";
import { hostileProxy } from "./hostile-throws.ts";

/** Tasks that hold up their thread or kill it, and tasks that do not hear. `expected.ts` says which of them may cost the thread's life. */
export const HOSTILE_TO_THREADS = {
  exit: ({ n }, _context, me) => {
    me.deed();
    process.exit(n % 3);
  },
  exitLater: noted(({ n, ms }, _context, me) => {
    me.deed();
    setTimeout(() => process.exit(n % 3), ms);
    return n;
  }),
  outOfMemory: (_work, _context, me) => {
    me.deed();
    const all: unknown[] = [];
    for (;;) all.push(Array.from({ length: 1_000 }, (_, n) => ({ n })));
  },
  endlessLoop: (_work, _context, me) => {
    me.deed();
    for (;;) Math.sqrt(2);
  },
  atomicsWait: (_work, _context, me) => {
    me.deed();
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  },
  nativeCall: noted(({ n }, _context, me) => {
    me.deed();
    // Longer than the watch of the threads takes to give a thread up, and nothing terminates it.
    execFileSync("sleep", ["3"]);
    return n;
  }),
  /** Then it hears. */
  blocks: noted(async ({ n, ms }, context, me) => {
    const waits = new Int32Array(new SharedArrayBuffer(4));
    for (const endMs = monotonicMs() + 10 * ms; monotonicMs() < endMs; ) Atomics.wait(waits, 0, 0, 20);
    me.acts();
    if (n % 2 === 0) await context.sleep(600_000);
    for (;;) await context.yield();
  }),
  ignores: noted(async ({ n, ms }) => {
    await new Promise((resolve) => setTimeout(resolve, 10 * ms));
    return n;
  }),
  /** Then it hears. */
  ignoresForAWhile: noted(async ({ ms }, context) => {
    await new Promise((resolve) => setTimeout(resolve, 10 * ms));
    await context.sleep(600_000);
  }),
  catchesItsCancel: noted(async ({ n, ms }, context) => {
    await context.sleep(600_000).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, ms));
    return n;
  }),
  neverResolves: () => new Promise(() => {}),
  timerThrows: noted(({ n, ms }, _context, me) => {
    me.deed();
    setTimeout(() => {
      throw [null, undefined, new Error("in a timer"), hostileProxy()][n % 4];
    }, ms);
    return n;
  }),
  tickThrows: noted(({ n }, _context, me) => {
    me.deed();
    process.nextTick(() => {
      throw new Error("in a tick");
    });
    return n;
  }),
  signalListenerThrows: noted(async ({ n, ms }, context, me) => {
    me.deed();
    context.signal.addEventListener("abort", () => {
      throw new Error("in a listener of a signal");
    });
    await context.sleep(ms);
    return n;
  }),
  cancelListenerThrows: noted(async ({ n, ms }, context) => {
    for (const what of [null, new Error("in a listener"), hostileProxy()]) {
      context.onCancel(() => {
        throw what;
      });
    }
    await context.sleep(ms);
    return n;
  }),
  unhandledRejection: noted(({ n }) => {
    for (const what of [null, undefined, new Error("unhandled"), hostileProxy()]) void Promise.reject(what);
    return n;
  }),
  removesListeners: noted(({ n }, _context, me) => {
    me.deed();
    process.removeAllListeners("unhandledRejection");
    process.removeAllListeners("uncaughtException");
    void Promise.reject(new Error("unhandled, and nobody listens"));
    return n;
  }),
} satisfies Record<string, Body>;
