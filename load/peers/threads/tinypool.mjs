import { workerData } from "node:worker_threads";
import { noteIn, work } from "./work.mjs";

// The first is tinypool's own.
noteIn(workerData[1]);

export function run(job) {
  return work(job);
}
