import { open } from "node:fs/promises";

/** A file of secrets cannot be used. The message names the setting, the line and the rule, and quotes nothing that may be a secret. */
export class SecretFileError extends Error {}

const WRITABLE_BY_OTHERS = 0o022;

export interface SecretFileOptions {
  /** Refuses a file that others than its owner can change. Windows has no such modes. */
  readonly ownerWrites?: boolean;
}

/** Reads the file that a setting names. Throws `SecretFileError`. */
export async function readSecretFile(setting: string, file: string, { ownerWrites = false }: SecretFileOptions = {}): Promise<string> {
  let mode: number;
  let text: string;
  try {
    await using opened = await open(file);
    mode = (await opened.stat()).mode;
    text = await opened.readFile("utf8");
  } catch (error) {
    // What is no file is often the secret itself, so it is not shown.
    throw new SecretFileError(`${setting}: its file cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  if (ownerWrites && process.platform !== "win32" && (mode & WRITABLE_BY_OTHERS) !== 0) {
    const octal = (mode & 0o777).toString(8).padStart(4, "0");
    throw new SecretFileError(
      `${setting}=${JSON.stringify(file)}: has mode ${octal}: must not be writable by its group or by others (chmod go-w)`,
    );
  }
  return text;
}

/** What `parse` makes of each line that is not blank and no # comment. Throws `SecretFileError` where that is undefined, or no line is left. */
export async function readSecretLines<T>(
  setting: string,
  file: string,
  { rule, parse, ...options }: SecretFileOptions & { readonly rule: string; readonly parse: (line: string) => T | undefined },
): Promise<T[]> {
  const parsed: T[] = [];
  for (const [index, raw] of (await readSecretFile(setting, file, options)).split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const secret = parse(line);
    if (secret === undefined) throw new SecretFileError(`${setting}=${JSON.stringify(file)}: line ${index + 1} ${rule}`);
    parsed.push(secret);
  }
  if (parsed.length === 0) throw new SecretFileError(`${setting}=${JSON.stringify(file)}: has nothing but comments: a line ${rule}`);
  return parsed;
}
