import type { Job } from "../peer.ts";

/** For `Run.settled`. */
export function settled(job: Job, value: PromiseLike<unknown>): Promise<boolean> {
  return Promise.resolve(value).then(
    (kind) => kind === job.kind,
    () => false,
  );
}
