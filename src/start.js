// What `npm start` runs. JavaScript, and the import comes second: a file that is loaded before the cache is enabled, `main.ts` too, would
// have its types stripped at every start.
import "./compile-cache.js";

const { run } = await import("./main.ts");
run();
