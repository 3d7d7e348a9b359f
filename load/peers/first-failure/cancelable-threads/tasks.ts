import { defineTasks } from "../../../../src/threads/worker/index.ts";
import { alive } from "../alive.ts";

export const tasks = defineTasks({
  async fails(ms: number, context) {
    await context.sleep(ms);
    throw new Error("boom");
  },
  async waits(ms: number, context) {
    for (let n = 0; n < ms; n += 5) {
      await context.sleep(5);
      alive("w");
    }
  },
  computes(ms: number, context) {
    for (const end = Date.now() + ms; Date.now() < end; ) {
      context.checkpoint();
      alive("c");
    }
  },
});
