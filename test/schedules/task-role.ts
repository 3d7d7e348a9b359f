import { BUILT_IN_CAUSES, Canceled, ENDED } from "../../src/threads/canceled.ts";
import type { LayoutHandle } from "../../src/threads/layout.ts";
import { Failure } from "../../src/threads/outcome.ts";
import { OUTCOME_STRIDE, TASK_STRIDE, type TaskMessage, type ThreadMessage, type ThreadSetup } from "../../src/threads/protocol.ts";
import { defineTasks, type TaskBody } from "../../src/threads/worker/define-tasks.ts";
import { serve } from "../../src/threads/worker/serve.ts";
import type { TaskContext } from "../../src/threads/worker/task-context.ts";
import { MAIN } from "./control-words.ts";
import type { Role, Stage } from "./role.ts";

/** What the tasks of the scenarios do. */
export type Behavior =
  | "stays"
  | "fails"
  | "fails on request"
  | "looks on request"
  | "ignores its cancel"
  | "looks when its group is over"
  | "leaves work behind"
  | "computes"
  | "succeeds";

/** What is sent to a thread in place of tasks; the number of a task follows the request. */
export const START = "start";
export const REQUEST = "request ";

// Longer than a slice.
const COMPUTES_MS = 3;

/** A thread of the pools: the real `serve`, with a box for its port. Tasks get their numbers as input. */
export function makeRole({ control, gate, thread, layout: given }: Stage): Role {
  const layout = given as LayoutHandle;
  const setup: ThreadSetup = { layout, causes: BUILT_IN_CAUSES, file: "", settings: undefined };
  let receive: (message: TaskMessage) => void = () => {};
  const requested = new Map<number, () => void>();
  let stays: TaskContext[] = [];
  /** Of tasks that have ended. */
  let over = new Set<TaskContext>();

  const failure = () => new Failure("declined");
  const bodies: Record<Behavior, TaskBody> = {
    // By the cheapest of the ways to notice; the others hang on the same list.
    stays(_input, context: TaskContext) {
      stays.push(context);
      return new Promise((_resolve, reject) => context.onCancel((cause) => reject(new Canceled(cause))));
    },
    fails: () => Promise.reject(failure()),
    "fails on request": (task) => new Promise((_resolve, reject) => requested.set(task, () => reject(failure()))),
    "looks on request": (task, context: TaskContext) =>
      new Promise<void>((resolve, reject) => {
        requested.set(task, () => {
          try {
            context.checkpoint();
            resolve();
          } catch (error) {
            reject(error);
          }
        });
      }),
    "ignores its cancel": (task) => new Promise<void>((resolve) => requested.set(task, resolve)),
    "looks when its group is over": (task, context: TaskContext) =>
      new Promise<void>((resolve) => {
        requested.set(task, () => {
          // Of its own group's cancel it may have heard before.
          if (context.cause !== "deadline") expectEnded(context);
          resolve();
        });
      }),
    "leaves work behind"(task, context: TaskContext) {
      requested.set(task, () => expectEnded(context));
    },
    computes() {
      control.clockMs += COMPUTES_MS;
    },
    succeeds() {},
  };
  function expectEnded(context: TaskContext): void {
    try {
      context.checkpoint();
      control.ledger.accuse("work goes on after its task has ended, or its group");
    } catch {
      if (context.cause !== ENDED) control.ledger.accuse("work that is over takes another group's cancel for its own");
    }
  }

  const counted = Object.fromEntries(
    Object.entries(bodies).map(([name, body]): [string, TaskBody] => [
      name,
      (task: number, context) => {
        control.ledger.countBody(task);
        const result = Promise.resolve(body(task, context));
        const ended = () => void over.add(context);
        result.then(ended, ended);
        return result;
      },
    ]),
  );
  const taskOf = new Map<string, number>();

  /** Whoever waits must not hold those that have ended. */
  function lookAtList(): void {
    for (const context of stays) {
      if (!over.has(context) && context.older !== undefined && over.has(context.older))
        control.ledger.accuse("a task that has ended is still on its thread's list");
    }
  }

  const port = {
    on(event: string, listener: (message: TaskMessage) => void): void {
      if (event === "message") receive = listener;
    },
    postMessage(message: ThreadMessage) {
      gate.post(MAIN, `${thread} ${JSON.stringify(message)}`);
      if (!Array.isArray(message)) return;
      for (let at = 0; at < message.length; at += OUTCOME_STRIDE) {
        control.ledger.noteAnswered(taskOf.get(nameOf(message, at)) as number);
      }
    },
  };

  return {
    layout,
    begin() {
      receive = () => {};
      requested.clear();
      stays = [];
      over = new Set();
      taskOf.clear();
    },
    take(message) {
      if (message === START) void serve(port as never, thread, setup, defineTasks(counted));
      else if (message.startsWith(REQUEST)) requested.get(Number(message.slice(REQUEST.length)))?.();
      else {
        const tasks = JSON.parse(message) as TaskMessage;
        for (let at = 0; at < tasks.length; at += TASK_STRIDE) {
          const task = tasks[at + TASK_STRIDE - 1] as number;
          taskOf.set(nameOf(tasks, at), task);
          control.ledger.noteTook(task);
        }
        receive(tasks);
      }
      setImmediate(lookAtList);
    },
  };
}

function nameOf(message: readonly unknown[], at: number): string {
  return message.slice(at, at + 3).join(" ");
}
