import { createSecretKey, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";

/** One line that names the file and its line, if known, and the rule. It never shows what the file holds. */
export class WebhookSecretError extends Error {}

const PREFIX = "whsec_";
const MIN_BYTES = 24;
const MAX_BYTES = 64;
const RULE = `must be ${PREFIX} followed by the base64 of ${MIN_BYTES} to ${MAX_BYTES} bytes`;

/** Reads the secrets, one a line, that sign every delivery; blank lines and those with # are skipped. Throws `WebhookSecretError`. */
export async function readWebhookSecrets(file: string): Promise<KeyObject[]> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    // A path that is no file is often the secret itself, so the message does not show it.
    throw new WebhookSecretError(`WEBHOOK_SECRET_FILE: its file cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  const secrets: KeyObject[] = [];
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const secret = parseWebhookSecret(line);
    if (secret === undefined) throw new WebhookSecretError(`WEBHOOK_SECRET_FILE=${file}: line ${index + 1}: ${RULE}`);
    secrets.push(secret);
  }
  if (secrets.length === 0) throw new WebhookSecretError(`WEBHOOK_SECRET_FILE=${file}: holds no secret: a line ${RULE}`);
  return secrets;
}

/** Parses a secret as Standard Webhooks writes it; undefined for any other text. A log shows nothing of a `KeyObject`. */
export function parseWebhookSecret(text: string): KeyObject | undefined {
  if (!text.startsWith(PREFIX)) return undefined;
  const base64 = text.slice(PREFIX.length);
  const bytes = Buffer.from(base64, "base64");
  // Node skips characters that are not base64, so a mistyped secret would silently become another one.
  if (bytes.toString("base64") !== base64) return undefined;
  if (bytes.length < MIN_BYTES || bytes.length > MAX_BYTES) return undefined;
  return createSecretKey(bytes);
}
