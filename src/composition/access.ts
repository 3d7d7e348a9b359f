import type { Logger } from "pino";
import { type Config, ConfigError } from "../config.ts";
import { AccessKeyError, AccessKeys } from "../http/access-keys.ts";
import { isOnLoopback } from "../http/loopback.ts";

/** Whose requests each listener takes. Without keys it takes anybody's. */
export interface Access {
  readonly adminKeys: AccessKeys | undefined;
  readonly apiKeys: AccessKeys | undefined;
  /** Reads the files again; a bad one changes nothing but the log. Absent where there is none. */
  readonly reload: (() => Promise<void>) | undefined;
}

/** Throws `AccessKeyError`, and `ConfigError` where the admin listener would be open to other machines without keys. */
export async function readAccess(config: Config, log: Logger): Promise<Access> {
  const adminKeys = config.ADMIN_KEYS_FILE === undefined ? undefined : await AccessKeys.read("ADMIN_KEYS_FILE", config.ADMIN_KEYS_FILE);
  if (adminKeys === undefined && !(await isOnLoopback(config.ADMIN_HOST))) {
    throw new ConfigError(`ADMIN_HOST=${JSON.stringify(config.ADMIN_HOST)}: is not on loopback, so it needs ADMIN_KEYS_FILE`);
  }
  const apiKeys = config.API_KEYS_FILE === undefined ? undefined : await AccessKeys.read("API_KEYS_FILE", config.API_KEYS_FILE);
  const reload = async () => {
    await Promise.all([reloadKeys("admin keys", adminKeys, log), reloadKeys("API keys", apiKeys, log)]);
  };
  return { adminKeys, apiKeys, reload: adminKeys === undefined && apiKeys === undefined ? undefined : reload };
}

async function reloadKeys(what: string, keys: AccessKeys | undefined, log: Logger): Promise<void> {
  if (keys === undefined) return;
  try {
    await keys.reload();
    log.info({ keys: keys.count }, `${what} read again`);
  } catch (error) {
    if (!(error instanceof AccessKeyError)) throw error;
    log.error({ reason: error.message }, `${what} stay as they were`);
  }
}
