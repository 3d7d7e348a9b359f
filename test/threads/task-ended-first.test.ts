import { expect, test } from "vitest";
import { TaskGroup } from "../../src/threads/index.ts";

/** A group of a task that fails as told, between two that wait for their cancel, and in which order that came about. */
async function order(failing: () => Promise<string>, isFailure?: (value: string) => boolean): Promise<string[]> {
  const log: string[] = [];
  const group = new TaskGroup<string>({
    onTaskEnded: (index) => log.push(`task ${index} ended, cause ${group.scope.cause}`),
    ...(isFailure !== undefined && { isFailure }),
  });
  const waits = async (scope: typeof group.scope, index: number): Promise<string> => {
    await new Promise<void>((resolve) => {
      scope.onCancel((cause) => {
        log.push(`task ${index} is canceled, cause ${cause}`);
        resolve();
      });
    });
    scope.throwIfCanceled();
    return "not canceled";
  };
  group.spawn(waits);
  group.spawn(failing);
  // A group that is canceled starts no task.
  if (group.scope.cause === undefined) group.spawn(waits);
  expect((await group.join()).firstFailure).toBe(1);
  return log;
}

const FAILED_FIRST = ["task 1 ended, cause undefined", "task 0 is canceled, cause sibling_failed"];
const THEN_THE_OTHERS = ["task 0 ended, cause sibling_failed", "task 2 ended, cause sibling_failed"];

test.each<[what: string, failing: () => Promise<string>, isFailure?: (value: string) => boolean]>([
  ["rejects", () => Promise.reject(new Error("no"))],
  ["gives a value that is a failure", () => Promise.resolve("no"), (value) => value === "no"],
])("who listens hears that a task that %s has ended before any sibling is canceled", async (_what, failing, isFailure) => {
  expect(await order(failing, isFailure)).toEqual([...FAILED_FIRST, "task 2 is canceled, cause sibling_failed", ...THEN_THE_OTHERS]);
});

test("likewise of one that throws before it gives a promise", async () => {
  const failing = (): never => {
    throw new Error("no");
  };
  expect(await order(failing)).toEqual([...FAILED_FIRST, THEN_THE_OTHERS[0]]);
});
