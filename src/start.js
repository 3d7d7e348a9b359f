// `npm start` runs this file. It is JavaScript and imports `main.ts` second: Node strips the types of every TypeScript file that it loads before
// the cache is enabled, at every start.
import "./compile-cache.js";

const { run } = await import("./main.ts");
run();
