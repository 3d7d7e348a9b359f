import { defineTasks, post } from "../../src/threads/worker/index.ts";

/** Posts, as whatever a step loads may do. */
export const tasks = defineTasks({
  post(values: readonly unknown[]): void {
    for (const value of values) post(value);
  },
});
