import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { ConfigError } from "../config.ts";

/** The absolute path of a directory. Throws `ConfigError` where there is none, so that the start fails and not the first backup. */
export async function existingDirectory(name: string, path: string): Promise<string> {
  const isDirectory = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isDirectory) throw new ConfigError(`${name}=${JSON.stringify(path)}: must be a directory that exists`);
  return resolve(path);
}
