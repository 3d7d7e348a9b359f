import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { ConfigError } from "../../config.ts";

/** Its absolute path. Throws `ConfigError`: a backup that cannot be written is better known now than on the day when it is needed. */
export async function existingDirectory(name: string, path: string): Promise<string> {
  const isDirectory = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isDirectory) throw new ConfigError(`${name}=${JSON.stringify(path)}: must be a directory that exists`);
  return resolve(path);
}
