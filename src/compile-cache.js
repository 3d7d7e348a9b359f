import { enableCompileCache } from "node:module";
import { fileURLToPath } from "node:url";

// Beside the dependencies, because write access to the cache is as good as write access to the code.
const DIRECTORY = fileURLToPath(new URL("../node_modules/.cache/order-pipeline", import.meta.url));

// Worker threads read the variable when they start. Without a cache each thread loads the compiler that strips types: 10 MB, and half
// of the start's time.
process.env.NODE_COMPILE_CACHE ??= DIRECTORY;
enableCompileCache(process.env.NODE_COMPILE_CACHE);
