/**
 * `node:http` and `node:https`, loaded at the first call. An `import` of `node:http` reads every export to bind it, and some of them load
 * undici, on each thread that has such an import: 12 of 136 MiB at rest (docs/performance.md). Any thread.
 */

export function nodeHttp(): typeof import("node:http") {
  return process.getBuiltinModule("node:http");
}

/** Brings TLS with it: 5 MB more. */
export function nodeHttps(): typeof import("node:https") {
  return process.getBuiltinModule("node:https");
}
