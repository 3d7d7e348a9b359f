// Four threads search for the number that has a given hash. The one that finds it stops the others.
import { hash } from "node:crypto";
import { openThreads } from "../../index.ts";
import type { tasks } from "./tasks.ts";

const SEARCHERS = 4;
const END = 10_000_000;
const digest = hash("sha256", "654321");

const file = new URL("./tasks.ts", import.meta.url);
await using threads = await openThreads<typeof tasks, "found">({ file, shared: 0, exclusive: SEARCHERS, causes: ["found"] });
await using group = threads.group();
const searches = Array.from({ length: SEARCHERS }, (_, first) =>
  group.run("search", { digest, first, step: SEARCHERS, end: END }, { on: "exclusive" }),
);

console.log(`${digest.slice(0, 16)}... is the hash of ${await Promise.any(searches)}`);
group.cancel("found");

const { outcomes } = await group.join(); // Nothing searches any more.
for (const [n, outcome] of outcomes.entries()) {
  if (outcome.status === "ok") console.log(`search ${n} found ${outcome.value}`);
  else if (outcome.status === "canceled")
    console.log(
      `search ${n} ${outcome.stopped ? "was stopped" : "goes on"} (${outcome.cause}) after ${outcome.progress ?? 0} of ${END / SEARCHERS} numbers`,
    );
}
