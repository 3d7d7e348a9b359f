import { type MessagePort, threadId, workerData } from "node:worker_threads";
import type { ThreadSetup } from "../protocol.ts";
import type { DefinedTasks } from "./define-tasks.ts";
import { serve } from "./serve.ts";

/**
 * What Piscina loads on each thread, and its one task there, which never ends. No default export: terminating a thread while Node wraps one
 * for `require` aborts the process (`CreateRequiredModuleFacade`). The user's file is imported, so it may export what it likes.
 */
export function standingTask(port: MessagePort): Promise<never> {
  void start(port);
  return new Promise(() => {});
}

async function start(port: MessagePort): Promise<void> {
  const setup = workerData as ThreadSetup;
  try {
    const { tasks } = (await import(setup.file)) as { tasks?: DefinedTasks };
    if (typeof tasks?.make !== "function") throw new TypeError(`${setup.file} exports no "tasks" made by defineTasks`);
    await serve(port, threadId, setup, tasks);
  } catch (error) {
    // As an uncaught exception, so that the thread dies and its death says why.
    setImmediate(() => {
      throw error;
    });
  }
}
