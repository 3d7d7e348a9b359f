/** What was begun in time counts, also where it was done later. */
interface Done {
  readonly done: number;
  readonly perSecond: number;
}

/** Repeats a job, so many at a time, until the time is over. */
export async function atATime(jobs: number, seconds: number, job: () => Promise<unknown>): Promise<Done> {
  const begin = performance.now();
  const end = begin + seconds * 1000;
  let done = 0;
  const repeat = async (): Promise<void> => {
    while (performance.now() < end) {
      await job();
      done++;
    }
  };
  await Promise.all(Array.from({ length: jobs }, repeat));
  return { done, perSecond: done / ((performance.now() - begin) / 1000) };
}
