import { hash, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Client } from "./client.ts";

/** One line that names the setting, the line of the file where there is one, and the rule; never anything that may be a key. */
export class AccessKeyError extends Error {}

const HASHED = "sha256:";
const RULE = `must be a key of visible ASCII characters, or ${HASHED} and the 64 hexadecimal digits of its SHA-256`;

/**
 * The keys that clients of a listener may show. Only hashes of them are kept, and found by a second hash, which needs a secret of this
 * process: how long the comparisons of a look-up take depends on nothing that anybody outside can know or choose. Comparing with
 * each key by `timingSafeEqual` says as little and costs 60 ns a key; this costs less than a microsecond, however many there are.
 */
export class AccessKeys {
  readonly #setting: string;
  readonly #file: string;
  readonly #secret = randomBytes(32).toString("hex");
  #clients: ReadonlyMap<string, Client> = new Map();
  #reading: Promise<void> = Promise.resolve();

  private constructor(setting: string, file: string) {
    this.#setting = setting;
    this.#file = file;
  }

  /**
   * Reads the file that a setting names: a key a line, as it is or as its SHA-256; blank lines and lines that begin with
   * # are skipped. Throws `AccessKeyError`.
   */
  static async read(setting: string, file: string): Promise<AccessKeys> {
    const keys = new AccessKeys(setting, file);
    await keys.reload();
    return keys;
  }

  get count(): number {
    return this.#clients.size;
  }

  /** Reads the file again. Throws `AccessKeyError` where that cannot be done, and then the keys stay what they are. */
  reload(): Promise<void> {
    // One after the other, so that the newest look at the file is the one that stays.
    const reading = this.#reading.catch(() => {}).then(() => this.#read());
    this.#reading = reading;
    return reading;
  }

  /** Whose key that is; undefined where it is none. */
  find(shown: string): Client | undefined {
    return this.#clients.get(this.#blind(hashOf(shown)));
  }

  async #read(): Promise<void> {
    const hashes = await readHashes(this.#setting, this.#file);
    this.#clients = new Map(hashes.map((digits) => [this.#blind(digits), clientOf(digits)]));
  }

  #blind(digits: string): string {
    return hash("sha256", this.#secret + digits);
  }
}

/** What an `Authorization` header brings as a bearer token. */
export function bearerToken(authorization = ""): string | undefined {
  return /^bearer +(\S+)$/i.exec(authorization)?.[1];
}

/** What it brings as the password of Basic. */
export function basicPassword(authorization = ""): string | undefined {
  const [, credentials = ""] = /^basic +(\S+)$/i.exec(authorization) ?? [];
  const userAndPassword = Buffer.from(credentials, "base64").toString("utf8");
  const colon = userAndPassword.indexOf(":");
  return colon < 0 ? undefined : userAndPassword.slice(colon + 1);
}

/** A part of a key's hash is its name in the journal: it stays the same as long as the key does, and opens nothing. */
function clientOf(digits: string): Client {
  return { name: digits.slice(0, 32), high: Number.parseInt(digits.slice(0, 8), 16), low: Number.parseInt(digits.slice(8, 16), 16) };
}

async function readHashes(setting: string, file: string): Promise<string[]> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    // Not even the name is shown: it may be a key that was put there by mistake.
    throw new AccessKeyError(`${setting}: the file that it names cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
  const hashes: string[] = [];
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const digits = parse(line);
    if (digits === undefined) throw new AccessKeyError(`${setting}: line ${index + 1} of its file ${RULE}`);
    hashes.push(digits);
  }
  if (hashes.length === 0) throw new AccessKeyError(`${setting}: its file holds no key: a line ${RULE}`);
  return hashes;
}

/** The SHA-256 in hexadecimal digits. */
function parse(line: string): string | undefined {
  if (line.startsWith(HASHED)) {
    const digits = line.slice(HASHED.length);
    return /^[\da-f]{64}$/i.test(digits) ? digits.toLowerCase() : undefined;
  }
  return /^[\x21-\x7e]+$/.test(line) ? hashOf(line) : undefined;
}

function hashOf(key: string): string {
  return hash("sha256", key);
}
