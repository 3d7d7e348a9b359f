import { workerData } from "node:worker_threads";
import workerpool from "workerpool";
import { hearing, noteIn, work } from "./work.mjs";

noteIn(workerData);

function run(job) {
  // Nobody can cancel a task that is over when it begins. Listeners of tasks that ended well are kept until the next cancel.
  if (job.kind === "empty") return work(job);
  const abort = new AbortController();
  this.worker.addAbortListener(async () => abort.abort());
  return work(job, hearing(abort.signal));
}

workerpool.worker({ run });
