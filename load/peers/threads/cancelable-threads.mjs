import { defineTasks } from "../../../src/threads/worker/index.ts";
import { noteIn, work } from "./work.mjs";

export const tasks = defineTasks((shared) => {
  noteIn(shared);
  return { work };
});
