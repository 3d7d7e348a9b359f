// A preload, in JavaScript so that it needs no types stripped: writes a line `thread url` to MODULES_FILE for each module that a thread
// loads, and at the end of the process those of Node's own that the main thread has loaded.
import { appendFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { isMainThread, threadId } from "node:worker_threads";

const file = process.env.MODULES_FILE ?? "";

registerHooks({
  load(url, context, next) {
    appendFileSync(file, `${threadId} ${url}\n`);
    return next(url, context);
  },
});

if (isMainThread) {
  process.once("exit", () => {
    for (const name of process.moduleLoadList) appendFileSync(file, `${threadId} ${name}\n`);
  });
}
