import { defineTasks, type TaskBody } from "../../../src/threads/worker/index.ts";
import { type Body, GOOD_TASKS } from "./good-tasks.ts";
import { HOSTILE_RETURNS } from "./hostile-returns.ts";
import { HOSTILE_THROWS } from "./hostile-throws.ts";
import { HOSTILE_TO_THREADS } from "./hostile-to-threads.ts";
import { LEFTOVERS } from "./leftovers.ts";
import { MyNotes, Notes, type Work } from "./notes.ts";

export const BODIES = { ...GOOD_TASKS, ...HOSTILE_THROWS, ...HOSTILE_RETURNS, ...HOSTILE_TO_THREADS, ...LEFTOVERS };

export type KindName = keyof typeof BODIES;

/** What every thread of the fuzzer loads: all kinds of tasks, good and hostile, by their names. */
export const tasks = defineTasks(({ notes: buffer }: { readonly notes: SharedArrayBuffer }): Record<KindName, TaskBody> => {
  const notes = new Notes(buffer);
  const taskOf = (body: Body): TaskBody => {
    return (work: Work, context) => body(work, context, new MyNotes(notes, work.n));
  };
  return Object.fromEntries(Object.entries(BODIES).map(([name, body]) => [name, taskOf(body)])) as Record<KindName, TaskBody>;
});
