import { mock } from "node:test";
import { MessagePort, parentPort } from "node:worker_threads";
import { defineTasks, Failure, post, type TaskContext } from "../../../src/threads/worker/index.ts";
import { FORGED_MESSAGES, libraryPort, unreadable } from "../fuzz/forged-messages.ts";
import { SharedCounters } from "../shared-counters.ts";
import type { Settings } from "./opened.ts";

function raise(what: string): never {
  throw new Error(what);
}

/** What fails, and hurts nobody, with the words that its outcome has to have. */
export const FAILING = {
  "an error whose stack throws": {
    message: "the task threw something that throws when it is read",
    end: () => {
      throw Object.defineProperty(new Error("x"), "stack", { get: () => raise("the getter of a stack") });
    },
  },
  "an error whose stack is no text": {
    message: "with call sites",
    end: () => {
      const { prepareStackTrace } = Error;
      Error.prepareStackTrace = (_error, sites) => sites;
      const error = new Error("with call sites");
      void error.stack;
      Error.prepareStackTrace = prepareStackTrace;
      throw error;
    },
  },
  null: {
    message: "null",
    end: () => {
      throw null;
    },
  },
  "a proxy whose every trap throws": {
    message: "the task threw something that throws when it is read",
    end: () => {
      throw new Proxy({}, { get: () => raise("get"), has: () => raise("has"), getPrototypeOf: () => raise("prototype") });
    },
  },
  "a failure with data that cannot be cloned": {
    message: "the data or progress of the task cannot be cloned",
    end: () => {
      throw new Failure(() => {}, "declined");
    },
  },
  "an error, with progress that cannot be cloned": {
    message: "the data or progress of the task cannot be cloned",
    end: (context: TaskContext) => {
      context.progress = () => {};
      throw new Error("x");
    },
  },
  "nothing, and returns what cannot be cloned": { message: "what the task returned cannot be cloned", end: () => () => {} },
  "nothing, and returns what throws when it is cloned": {
    message: "what the task returned cannot be cloned",
    end: () => ({
      get field() {
        return raise("the getter of a field");
      },
    }),
  },
} as const;

export type Failing = keyof typeof FAILING;

/** What ends its thread, now or when it is waited for no longer. */
const DEADLY = {
  exit: () => process.exit(0),
  closes() {
    libraryPort().close();
    return new Promise(() => {});
  },
  unreadable,
  /** A thread has four times the main thread's stack. */
  nested: () => Array.from({ length: 6_000 }).reduce<unknown>((inner) => [inner], null),
  timer: () => {
    setTimeout(() => raise("in a timer"));
    return new Promise(() => {});
  },
  timerWithNull: () => {
    setTimeout(() => {
      throw null;
    });
    return new Promise(() => {});
  },
  microtask: () => {
    queueMicrotask(() => raise("in a microtask"));
    return new Promise(() => {});
  },
  heap: () => {
    const all: unknown[] = [];
    for (;;) all.push(new Array(100_000).fill(all.length));
  },
  loop: () => {
    for (;;) Math.sqrt(2);
  },
  atomicsWait: () => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0),
} as const;

export type Deadly = keyof typeof DEADLY;

/** Posts, and puts something into what its thread says when it is ready. */
function postWhileLoading(): void {
  post("loading");
  const { postMessage } = MessagePort.prototype;
  MessagePort.prototype.postMessage = function (this: MessagePort, message) {
    MessagePort.prototype.postMessage = postMessage;
    postMessage.call(this, { ...message, row: 2 ** 31 });
  };
}

export const tasks = defineTasks(({ counters: buffer, postsWhileLoading }: Settings & { readonly postsWhileLoading?: boolean }) => {
  const counters = new SharedCounters(buffer);
  if (postsWhileLoading) postWhileLoading();
  return {
    value: (n: number) => n,
    async waits({ began, gate }: { began: number; gate: number }, { signal }: TaskContext) {
      counters.add(began);
      await counters.reached(gate, 1, signal);
    },
    fails: (failing: Failing, context: TaskContext) => FAILING[failing].end(context),
    dies({ deadly, began }: { deadly: Deadly; began: number }) {
      counters.add(began);
      return DEADLY[deadly]();
    },
    /** Whatever comes to its mind, on the port that all libraries share or on the library's own. */
    posts(where: "the common port" | "the library's own port") {
      const port = where === "the common port" ? parentPort : libraryPort();
      for (const message of FORGED_MESSAGES) port?.postMessage(message);
    },
    async listens(began: number, context: TaskContext) {
      for (const what of [null, new Error("a listener")]) {
        context.onCancel(() => {
          throw what;
        });
      }
      context.onCancel(() => counters.add(began));
      counters.add(began);
      await context.sleep(600_000);
    },
    /** As a library of promises does, and a test with a clock of its own. */
    replacesGlobals() {
      const OtherPromise = { resolve: () => new Map(), reject: () => new Map() };
      Object.assign(globalThis, { Promise: OtherPromise });
      Object.assign(process, { hrtime: () => [0, 0] });
      mock.timers.enable();
    },
    leavesRejections() {
      for (const what of [null, new Error("left behind")]) void Promise.reject(what);
    },
  };
});
