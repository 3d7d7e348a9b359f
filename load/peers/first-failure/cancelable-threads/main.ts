import { openThreads } from "../../../../src/threads/index.ts";
import type { tasks } from "./tasks.ts";

const threads = await openThreads<typeof tasks>({ file: new URL("./tasks.ts", import.meta.url) });

export async function firstFailure(): Promise<string> {
  await using group = threads.group();
  group.run("waits", 2_000);
  group.run("computes", 2_000, { on: "exclusive" });
  group.run("fails", 500);
  const { outcomes, firstFailure = 0 } = await group.join();
  const first = outcomes[firstFailure];
  return first?.status === "failed" ? first.message : "none failed";
}
