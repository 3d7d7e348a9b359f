import { Canceled, defineTasks, Failure, post, type TaskContext } from "../../../src/threads/worker/index.ts";
import { SharedCounters } from "../shared-counters.ts";
import type { Settings } from "./opened.ts";

const LONG_MS = 600_000;

/** Each asks its context whether it is canceled, in its own way. */
const ASK = {
  checkpoint: (context: TaskContext) => context.checkpoint(),
  sleep: (context: TaskContext) => context.sleep(LONG_MS),
  yield: (context: TaskContext) => context.yield(),
  signal: (context: TaskContext) => context.signal,
} as const;

export type Asked = keyof typeof ASK;
export const ASKED = Object.keys(ASK) as Asked[];

/** How a task ends that leaves work behind. */
const END = {
  "returns a value": () => 1,
  "returns what cannot be cloned": () => () => {},
  fails: () => {
    throw new Failure({ n: 1 });
  },
  "throws null": () => {
    throw null;
  },
  "hears its cancel": async (context: TaskContext) => {
    for (;;) await context.yield();
  },
} as const;

export type End = keyof typeof END;
export const ENDS = Object.keys(END) as End[];

interface Leaves {
  readonly end: End;
  readonly url: string;
  readonly requested: number;
  readonly began: number;
  readonly gate: number;
}

export const tasks = defineTasks(({ counters: buffer }: Settings) => {
  const counters = new SharedCounters(buffer);
  return {
    /** Is canceled while nothing arrives, asks once, and tells what the others say before the turn ends. */
    asks({ asked, began, gate }: { asked: Asked; began: number; gate: number }, context: TaskContext) {
      const listened: string[] = [];
      const { signal } = context;
      context.onCancel((cause) => listened.push(cause));
      counters.add(began);
      counters.block(gate);
      const before = { aborted: signal.aborted, cause: context.cause };
      swallow(() => ASK[asked](context));
      return { before, after: { aborted: signal.aborted, reason: causeOf(signal.reason), cause: context.cause, listened } };
    },
    sleeps: (began: number, context: TaskContext) => {
      counters.add(began);
      return context.sleep(LONG_MS);
    },
    async calls({ url, began }: { url: string; began: number }, { signal }: TaskContext) {
      const answer = fetch(url, { signal });
      counters.add(began);
      return (await answer).status;
    },
    computes(began: number, context: TaskContext) {
      counters.add(began);
      for (;;) context.checkpoint();
    },
    async yields(began: number, context: TaskContext) {
      counters.add(began);
      for (;;) await context.yield();
    },
    listens(began: number, context: TaskContext) {
      counters.add(began);
      return new Promise((_resolve, reject) => context.onCancel((cause) => reject(new Canceled(cause))));
    },
    fails(_input: undefined) {
      throw new Failure("declined");
    },
    /** Leaves work behind that goes on until it hears: tells what each part of it heard. */
    async leaves({ end, url, requested, began, gate }: Leaves, context: TaskContext) {
      const tell = (what: string) => (reason: unknown) => post(`${what}: ${causeOf(reason)}`);
      const { signal } = context;
      fetch(url, { signal }).then(() => post("call: answered"), tell("call"));
      context.sleep(LONG_MS).catch(tell("sleep"));
      signal.addEventListener("abort", () => tell("signal")(signal.reason), { once: true });
      void (async () => {
        await counters.reached(gate);
        for (const asked of ASKED) {
          try {
            const answer = await ASK[asked](context);
            tell(`${asked} later`)(answer === undefined ? "passed" : answer.reason);
          } catch (error) {
            tell(`${asked} later`)(error);
          }
        }
      })();
      await counters.reached(requested);
      counters.add(began);
      return END[end](context);
    },
  };
});

function causeOf(reason: unknown): string {
  return Canceled.is(reason) ? reason.causedBy : String(reason);
}

function swallow(act: () => unknown): void {
  try {
    const result = act();
    if (result instanceof Promise) result.catch(() => {});
  } catch {}
}
