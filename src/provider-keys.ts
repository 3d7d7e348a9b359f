import type { Config } from "./config.ts";
import { STEPS, type StepName, type StepSetting, stepSetting } from "./orders/steps.ts";
import { readSecretFile, SecretFileError } from "./secret-file.ts";

// A header that a server need take: Node's own limit for all of a request's headers is 16 KiB.
const MAX_CHARS = 8_192;
const RULE = `must hold one line of 1 to ${MAX_CHARS} visible ASCII characters`;

/** What each real provider knows this service by, sent as `Authorization: Bearer`. Visible ASCII. A secret: to no log and no error. */
export type ProviderKeys = { readonly [step in StepName]?: string };

/** Reads the key files at start. Throws `SecretFileError`. */
export async function readProviderKeys(config: Pick<Config, StepSetting<"KEY_FILE">>): Promise<ProviderKeys> {
  const keys: { [step in StepName]?: string } = {};
  for (const step of STEPS) {
    const setting = stepSetting(step, "KEY_FILE");
    const file = config[setting];
    if (file !== undefined) keys[step] = await readKey(setting, file);
  }
  return keys;
}

async function readKey(setting: string, file: string): Promise<string> {
  const key = (await readSecretFile(setting, file)).trim();
  if (!/^[!-~]+$/.test(key) || key.length > MAX_CHARS) throw new SecretFileError(`${setting}=${JSON.stringify(file)}: ${RULE}`);
  return key;
}
