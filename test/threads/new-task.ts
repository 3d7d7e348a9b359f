import { DispatchedTask } from "../../src/threads/dispatched-task.ts";
import { TaskTable } from "../../src/threads/places.ts";
import type { PoolThread } from "../../src/threads/pool-thread.ts";
import type { SlotGroup } from "../../src/threads/slot-group.ts";

/** A task of a group that does nothing, which nobody waits for; sent to this thread, or to none. */
export function newTask(thread?: PoolThread): DispatchedTask {
  const parts = { table: new TaskTable(), codecs: undefined };
  const group = { slot: 0, generation: 0, cause: undefined, convert: undefined, parts, taskSettled() {} };
  const task = new DispatchedTask(group as unknown as SlotGroup, "task", undefined, undefined);
  task.moveTo(thread);
  return task;
}
