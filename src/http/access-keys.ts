import { createHash, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";

/** One line that names the setting, the line of the file where there is one, and the rule; never anything that may be a key. */
export class AccessKeyError extends Error {}

const HASHED = "sha256:";
const RULE = `must be a key of visible ASCII characters, or ${HASHED} and the 64 hexadecimal digits of its SHA-256`;

/** The keys that clients of a listener may show. Only their hashes are kept. */
export class AccessKeys {
  readonly #setting: string;
  readonly #file: string;
  #hashes: readonly Buffer[];

  private constructor(setting: string, file: string, hashes: readonly Buffer[]) {
    this.#setting = setting;
    this.#file = file;
    this.#hashes = hashes;
  }

  /**
   * Reads the file that a setting names: a key a line, as it is or as its SHA-256; blank lines and lines that begin with
   * # are skipped. Throws `AccessKeyError`.
   */
  static async read(setting: string, file: string): Promise<AccessKeys> {
    return new AccessKeys(setting, file, await readHashes(setting, file));
  }

  get count(): number {
    return this.#hashes.length;
  }

  /** Reads the file again. Throws `AccessKeyError` where that cannot be done, and then the keys stay what they are. */
  async readAgain(): Promise<void> {
    this.#hashes = await readHashes(this.#setting, this.#file);
  }

  /** Whether an `Authorization` header shows one of the keys: as a bearer token, or as the password of Basic. */
  accept(authorization: string | undefined): boolean {
    const shown = shownKey(authorization);
    if (shown === undefined) return false;
    const hash = hashOf(shown);
    // All of them are compared, so that the time says nothing about which.
    return this.#hashes.reduce((found, known) => timingSafeEqual(hash, known) || found, false);
  }
}

function shownKey(authorization = ""): string | undefined {
  const [, scheme = "", credentials = ""] = /^(bearer|basic) +(\S+)$/i.exec(authorization) ?? [];
  if (scheme.toLowerCase() === "bearer") return credentials;
  const userAndPassword = Buffer.from(credentials, "base64").toString("utf8");
  const colon = userAndPassword.indexOf(":");
  return colon < 0 ? undefined : userAndPassword.slice(colon + 1);
}

async function readHashes(setting: string, file: string): Promise<Buffer[]> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    // Not even the name is shown: it may be a key that was put there by mistake.
    throw new AccessKeyError(`${setting}: the file that it names cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
  const hashes: Buffer[] = [];
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const hash = parse(line);
    if (hash === undefined) throw new AccessKeyError(`${setting}: line ${index + 1} of its file ${RULE}`);
    hashes.push(hash);
  }
  if (hashes.length === 0) throw new AccessKeyError(`${setting}: its file holds no key: a line ${RULE}`);
  return hashes;
}

function parse(line: string): Buffer | undefined {
  if (line.startsWith(HASHED)) {
    const digits = line.slice(HASHED.length);
    return /^[\da-f]{64}$/i.test(digits) ? Buffer.from(digits, "hex") : undefined;
  }
  return /^[\x21-\x7e]+$/.test(line) ? hashOf(line) : undefined;
}

function hashOf(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}
