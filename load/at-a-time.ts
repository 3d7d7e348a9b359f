/** Repeats a job, so many at a time, until the time is over. Gives how often per second it was done. */
export async function atATime(jobs: number, seconds: number, job: () => Promise<void>): Promise<number> {
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
  return done / ((performance.now() - begin) / 1000);
}
