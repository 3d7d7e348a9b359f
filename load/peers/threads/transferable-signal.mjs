import { parentPort, workerData } from "node:worker_threads";
import { hearing, noteIn, work } from "./work.mjs";

noteIn(workerData);

parentPort.on("message", async ({ id, job, signal }) => {
  try {
    parentPort.postMessage({ id, value: await work(job, hearing(signal)) });
  } catch (error) {
    parentPort.postMessage({ id, error: error.message });
  }
});
