import { openThreads } from "../../../src/threads/index.ts";
import type { Job, Peer } from "../peer.ts";

const MAX_GROUPS = 20_000;

/** The library itself: each task has a group of its own, so that it can be canceled alone. */
export const cancelableThreads: Peer = {
  title: "this library",
  sharing: "all",
  async open(count, notes) {
    const threads = await openThreads({
      file: new URL("../threads/cancelable-threads.mjs", import.meta.url),
      settings: notes,
      shared: count,
      exclusive: count,
      exclusiveOnDemand: false,
      maxGroups: MAX_GROUPS,
    });
    return {
      run(job: Job, { alone = false } = {}) {
        const group = threads.group();
        group.run("work", job, { on: alone ? "exclusive" : "shared" });
        return {
          settled: group.join().then(({ outcomes: [outcome] }) => outcome?.status === "ok" && outcome.value === job.kind),
          cancel: () => void group.cancel("aborted"),
        };
      },
      [Symbol.asyncDispose]: () => threads.close(),
    };
  },
};
