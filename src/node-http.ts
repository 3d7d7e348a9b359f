/**
 * `node:http` and `node:https`, loaded at the first call. An `import` of `node:http` reads all its exports, and some of them load undici: 16 MB
 * of memory and 30 ms of the start, on each thread with such an import. Any thread.
 */

export function nodeHttp(): typeof import("node:http") {
  return process.getBuiltinModule("node:http");
}

/** Brings TLS with it: 5 MB more. */
export function nodeHttps(): typeof import("node:https") {
  return process.getBuiltinModule("node:https");
}
