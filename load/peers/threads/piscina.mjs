import { workerData } from "node:worker_threads";
import { noteIn, work } from "./work.mjs";

noteIn(workerData);

// No default export: Piscina loads by `require`, and a thread that is terminated in the midst of that aborts the process.
export function run(job) {
  return work(job);
}
