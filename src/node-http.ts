/**
 * `node:http` and `node:https`, loaded at the first call. An `import` of them loads undici, on each thread that has it: 12 of 136 MiB at
 * rest (`npm run bench:tricks`). Any thread.
 */

export function nodeHttp(): typeof import("node:http") {
  return process.getBuiltinModule("node:http");
}

/** Brings TLS with it: 5 MB more. */
export function nodeHttps(): typeof import("node:https") {
  return process.getBuiltinModule("node:https");
}
