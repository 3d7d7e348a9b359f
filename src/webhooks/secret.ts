import { createSecretKey, type KeyObject } from "node:crypto";
import { readSecretLines } from "../secret-file.ts";

const PREFIX = "whsec_";
const MIN_BYTES = 24;
const MAX_BYTES = 64;
const RULE = `must be ${PREFIX} followed by the base64 of ${MIN_BYTES} to ${MAX_BYTES} bytes`;

/** Reads the secrets, one a line, that sign every delivery. Throws `SecretFileError`. */
export function readWebhookSecrets(file: string): Promise<KeyObject[]> {
  return readSecretLines("WEBHOOK_SECRET_FILE", file, { rule: RULE, parse: parseWebhookSecret });
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
