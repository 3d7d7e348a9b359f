/**
 * `node:http` and `node:https`, loaded where they are first asked for. An `import` of `node:http` reads every export to bind it, and
 * some of them load undici: 16 MB of memory and 30 ms of a start, on each thread that has such an import. Any thread.
 */

export function nodeHttp(): typeof import("node:http") {
  return process.getBuiltinModule("node:http");
}

/** Brings TLS with it: 5 MB more. */
export function nodeHttps(): typeof import("node:https") {
  return process.getBuiltinModule("node:https");
}
