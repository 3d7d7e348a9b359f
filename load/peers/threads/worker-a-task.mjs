import { parentPort, workerData } from "node:worker_threads";
import { noteIn, work } from "./work.mjs";

noteIn(workerData.notes);
parentPort.postMessage(await work(workerData.job));
