import { defineTasks } from "../../src/threads/worker/index.ts";

/** For threads whose tasks only the main thread knows of. */
export const tasks = defineTasks({});
