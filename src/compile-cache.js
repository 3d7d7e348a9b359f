import { enableCompileCache } from "node:module";
import { fileURLToPath } from "node:url";

// Beside the dependencies, because write access to the cache is as good as write access to the code.
const DIRECTORY = fileURLToPath(new URL("../node_modules/.cache/order-pipeline", import.meta.url));

// Threads read the variable when they start. An empty one would make the cache in the working directory. Without a cache each thread, the main
// one too, loads the compiler that strips types: 25 of 149 MiB at rest (docs/performance.md), and half of a start's time.
process.env.NODE_COMPILE_CACHE ||= DIRECTORY;
enableCompileCache(process.env.NODE_COMPILE_CACHE);
