import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { openThreads, type TaskTable } from "../../src/threads/index.ts";
import type { DefinedTasks } from "../../src/threads/worker/index.ts";

const LIBRARY = fileURLToPath(new URL("../../src/threads/", import.meta.url));

test("a file of tasks may import a copy of the library that is not its thread's: all that it gives works", async () => {
  const directory = mkdtempSync(join(tmpdir(), "two-copies-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  cpSync(LIBRARY, directory, { recursive: true });
  const file = join(directory, "tasks.ts");
  writeFileSync(
    file,
    `import { Canceled, defineTasks, Failure, post, transfer } from "./worker/index.ts";
    export const tasks = defineTasks({
      moves() {
        const bytes = new Uint8Array([1, 2, 3]);
        setImmediate(() => setImmediate(() => post({ left: bytes.length })));
        return transfer(bytes, [bytes.buffer]);
      },
      fails() { throw new Failure({ n: 1 }, "declined", { keepsSiblings: true }); },
      async hears(_, context) {
        post("began");
        await context.sleep(600_000).catch((error) => { throw Canceled.is(error) ? error : new Error("another error"); });
      },
    });`,
  );
  const messages: unknown[] = [];
  let began = () => {};
  const hasBegun = new Promise<void>((resolve) => (began = resolve));
  await using threads = await openThreads<DefinedTasks<TaskTable>>({
    file,
    exclusive: 0,
    onMessage(message) {
      if (message === "began") began();
      else messages.push(message);
    },
  });
  const group = threads.group();
  const moves = group.run("moves", undefined);
  group.run("fails", undefined);
  group.run("hears", undefined);
  expect(await moves).toEqual(new Uint8Array([1, 2, 3]));
  await hasBegun;
  group.cancel("aborted");
  expect((await group.join()).outcomes.slice(1)).toMatchObject([
    { status: "failed", message: "declined", data: { n: 1 } },
    { status: "canceled", cause: "aborted", started: true, stopped: true },
  ]);
  expect(messages).toEqual([{ left: 0 }]);
});
