import { defineTasks } from "../../src/threads/worker/index.ts";

export const tasks = defineTasks({ nothing: (input: unknown) => input });
