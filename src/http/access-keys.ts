import { hash, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Client } from "./client.ts";

/** A key file breaks a rule. The message names the setting, the line and the rule, and quotes nothing that may be a key. */
export class AccessKeyError extends Error {}

const HASHED = "sha256:";
const RULE = `must be a key of visible ASCII characters, or ${HASHED} and the 64 hexadecimal digits of its SHA-256`;

/**
 * The keys of a listener's clients. It keeps SHA-256 hashes only, and looks a key up by a second hash that includes a secret of this process,
 * so the time of a look-up reveals nothing about the keys. A look-up takes less than a microsecond, however many keys there are. Main
 * thread only.
 *
 * Rejected: `timingSafeEqual` with each key. It is as safe, and costs 60 ns a key.
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
   * Reads the file that a setting names. Each line is a key or a key's SHA-256; blank lines and lines that begin with # are skipped.
   * Throws `AccessKeyError`.
   */
  static async read(setting: string, file: string): Promise<AccessKeys> {
    const keys = new AccessKeys(setting, file);
    await keys.reload();
    return keys;
  }

  get count(): number {
    return this.#clients.size;
  }

  /** Reads the file again. Throws `AccessKeyError` and keeps the old keys where the file cannot be read or breaks a rule. */
  reload(): Promise<void> {
    // One read after the other, so that the newest one wins.
    const reading = this.#reading.catch(() => {}).then(() => this.#read());
    this.#reading = reading;
    return reading;
  }

  /** The client that has this key; undefined for an unknown key. */
  find(key: string): Client | undefined {
    return this.#clients.get(this.#blind(hashOf(key)));
  }

  async #read(): Promise<void> {
    const hashes = await readHashes(this.#setting, this.#file);
    this.#clients = new Map(hashes.map((digits) => [this.#blind(digits), clientOf(digits)]));
  }

  #blind(digits: string): string {
    return hash("sha256", this.#secret + digits);
  }
}

/** The bearer token of an `Authorization` header. */
export function bearerToken(authorization = ""): string | undefined {
  return /^bearer +(\S+)$/i.exec(authorization)?.[1];
}

/** The password of an `Authorization` header of the Basic scheme. */
export function basicPassword(authorization = ""): string | undefined {
  const [, credentials = ""] = /^basic +(\S+)$/i.exec(authorization) ?? [];
  const userAndPassword = Buffer.from(credentials, "base64").toString("utf8");
  const colon = userAndPassword.indexOf(":");
  return colon < 0 ? undefined : userAndPassword.slice(colon + 1);
}

/** A part of a key's hash is the client's name in the journal: it lasts as long as the key, and grants no access. */
function clientOf(digits: string): Client {
  return { name: digits.slice(0, 32), high: Number.parseInt(digits.slice(0, 8), 16), low: Number.parseInt(digits.slice(8, 16), 16) };
}

async function readHashes(setting: string, file: string): Promise<string[]> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    // The message leaves out the file's name: an operator may have put a key there by mistake.
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
