import { hash } from "node:crypto";
import { defineTasks, Failure } from "../../worker/index.ts";

/** Some of the numbers from 0 to below `end`: every `step`-th from `first` on. */
export interface Share {
  readonly digest: string;
  readonly first: number;
  readonly step: number;
  readonly end: number;
}

export const tasks = defineTasks({
  search({ digest, first, step, end }: Share, context): number {
    let tried = 0;
    for (let n = first; n < end; n += step) {
      context.checkpoint(); // Throws when the group was canceled. One load from shared memory, so every turn can have it.
      context.progress = ++tried;
      if (hash("sha256", String(n)) === digest) return n;
    }
    // The others search on: an ordinary failure would stop them.
    throw new Failure(undefined, "not among these numbers", { keepsSiblings: true });
  },
});
