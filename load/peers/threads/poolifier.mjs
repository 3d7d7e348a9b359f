import { workerData } from "node:worker_threads";
import { ThreadWorker } from "poolifier";
import { noteIn, work } from "./work.mjs";

noteIn(workerData);

// A task function gets its data and nothing that could tell it of an abort.
export default new ThreadWorker(async (job) => await work(job));
