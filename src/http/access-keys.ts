import { hash, randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { readSecretLines } from "../secret-file.ts";

const HASHED = "sha256:";
// Whoever tries keys over the network needs ages for so many random characters.
const MIN_KEY_CHARACTERS = 16;
const RULE = `must be a key of at least ${MIN_KEY_CHARACTERS} visible ASCII characters, or ${HASHED} in small letters and the 64 hexadecimal digits of a key's SHA-256`;
const NAME_DIGITS = 32;

/**
 * The keys of a listener's clients, as SHA-256 hashes only. A look-up goes by a second hash with a secret of this process, so its time
 * reveals nothing of the keys.
 *
 * Rejected: `timingSafeEqual` with each key. It is as safe, and costs 60 ns a key.
 */
export class AccessKeys {
  readonly #setting: string;
  readonly #file: string;
  readonly #onRefused: (address: string | undefined) => void;
  readonly #secret = randomBytes(32).toString("hex");
  #clients: ReadonlyMap<string, string> = new Map();
  #reading: Promise<void> = Promise.resolve();
  #refused = 0;

  private constructor(setting: string, file: string, onRefused: (address: string | undefined) => void) {
    this.#setting = setting;
    this.#file = file;
    this.#onRefused = onRefused;
  }

  /**
   * Reads the file that a setting names: a key or its SHA-256 on each line that is not blank and no # comment. `onRefused` is told of each
   * request without a valid key, with its address. Throws `SecretFileError`.
   */
  static async read(setting: string, file: string, onRefused: (address: string | undefined) => void = () => {}): Promise<AccessKeys> {
    const keys = new AccessKeys(setting, file, onRefused);
    await keys.reload();
    return keys;
  }

  get count(): number {
    return this.#clients.size;
  }

  /** Requests without a valid key so far. */
  get refused(): number {
    return this.#refused;
  }

  /** Reads the file again. Throws `SecretFileError` and keeps the old keys where the file cannot be read or breaks a rule. */
  reload(): Promise<void> {
    // One read after the other, so that the newest one wins.
    const reading = this.#reading.catch(() => {}).then(() => this.#read());
    this.#reading = reading;
    return reading;
  }

  /** The name of the client with this key, undefined for an unknown one: a part of its hash, which lasts as long and grants no access. */
  find(key: string): string | undefined {
    return this.#clients.get(this.#blind(hashOf(key)));
  }

  /** Counts a request that shows no valid key. */
  refuse({ remoteAddress }: Socket): void {
    this.#refused++;
    this.#onRefused(remoteAddress);
  }

  async #read(): Promise<void> {
    const hashes = await readSecretLines(this.#setting, this.#file, { rule: RULE, parse: hashIn, ownerWrites: true });
    this.#clients = new Map(hashes.map((digits) => [this.#blind(digits), digits.slice(0, NAME_DIGITS)]));
  }

  #blind(digits: string): string {
    return hash("sha256", this.#secret + digits);
  }
}

/** The SHA-256 in hexadecimal digits. */
function hashIn(line: string): string | undefined {
  // Also where the word is misspelt: as a key it would open for whoever shows the hash, and not for whoever has the key.
  if (/^sha-?256\b/i.test(line)) {
    const digits = line.startsWith(HASHED) ? line.slice(HASHED.length) : "";
    return /^[\da-f]{64}$/i.test(digits) ? digits.toLowerCase() : undefined;
  }
  return /^[\x21-\x7e]+$/.test(line) && line.length >= MIN_KEY_CHARACTERS ? hashOf(line) : undefined;
}

function hashOf(key: string): string {
  return hash("sha256", key);
}
