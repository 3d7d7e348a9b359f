import { readFile } from "node:fs/promises";
import { type Config, ConfigError } from "./config.ts";
import { STEPS, type StepName, type StepSetting, stepSetting } from "./orders/steps.ts";

// A header that a server need take: Node's own limit for all of a request's headers is 16 KiB.
const MAX_CHARS = 8_192;
const RULE = `must hold one line of 1 to ${MAX_CHARS} visible ASCII characters`;

/** What each real provider knows this service by, sent as `Authorization: Bearer`. Visible ASCII. A secret: to no log and no error. */
export type ProviderKeys = { readonly [step in StepName]?: string };

/** Reads the key files at start. Throws `ConfigError`, whose line names setting, rule and file; never what the file holds. */
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
  let text: string;
  try {
    text = await readFile(file, "latin1");
  } catch (error) {
    // What is no file is often the key itself, so it is not shown.
    throw new ConfigError(`${setting}: its file cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  const key = text.trim();
  if (!/^[!-~]+$/.test(key) || key.length > MAX_CHARS) throw new ConfigError(`${setting}=${JSON.stringify(file)}: ${RULE}`);
  return key;
}
