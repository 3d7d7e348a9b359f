import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

/**
 * Preloaded into a process it writes down in the file SYNC_RECORD, on every thread and in order, what is written to files, made durable and
 * renamed: one JSON array a line, `["write", path]`, `["sync", path]` or `["rename", from, to]`, when it is done. SQLite goes past it.
 */

const record = process.env.SYNC_RECORD as string;
const note = (...line: readonly unknown[]) => fs.appendFileSync(record, `${JSON.stringify(line)}\n`);

const { open, rename } = fs.promises;

fs.promises.open = async (path, ...rest) => {
  const handle = await open(path, ...rest);
  for (const name of ["sync", "datasync"] as const) {
    const original = handle[name].bind(handle);
    handle[name] = async () => {
      await original();
      note("sync", String(path));
    };
  }
  return handle;
};

fs.promises.rename = async (from, to) => {
  await rename(from, to);
  note("rename", String(from), String(to));
};

const paths = new Map<number, string>();
const { openSync, writeSync, fsyncSync, renameSync } = fs;

fs.openSync = (path, ...rest) => {
  const descriptor = openSync(path, ...rest);
  paths.set(descriptor, String(path));
  return descriptor;
};

// biome-ignore lint/suspicious/noExplicitAny: it has several signatures, and passes on whatever it gets.
(fs as any).writeSync = (descriptor: number, ...rest: any[]) => {
  const bytes = (writeSync as (...all: unknown[]) => number)(descriptor, ...rest);
  note("write", paths.get(descriptor));
  return bytes;
};

fs.fsyncSync = (descriptor) => {
  fsyncSync(descriptor);
  note("sync", paths.get(descriptor));
};

fs.renameSync = (from, to) => {
  renameSync(from, to);
  note("rename", String(from), String(to));
};

syncBuiltinESMExports();
