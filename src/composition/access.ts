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

/** Throws `AccessKeyError`, and `ConfigError` where a listener would be open to other machines without keys. */
export async function readAccess(config: Config, log: Logger): Promise<Access> {
  const adminKeys = config.ADMIN_KEYS_FILE === undefined ? undefined : await AccessKeys.read("ADMIN_KEYS_FILE", config.ADMIN_KEYS_FILE);
  if (adminKeys === undefined) await requireLoopback(config, "ADMIN_HOST", "ADMIN_KEYS_FILE");
  if (config.ENGINE === "restate" && config.RESTATE_IDENTITY_KEY === undefined) {
    await requireLoopback(config, "RESTATE_ENDPOINT_HOST", "RESTATE_IDENTITY_KEY");
  }
  const apiKeys = config.API_KEYS_FILE === undefined ? undefined : await AccessKeys.read("API_KEYS_FILE", config.API_KEYS_FILE);
  const reload = async () => {
    await Promise.all([reloadKeys("admin keys", adminKeys, log), reloadKeys("API keys", apiKeys, log)]);
  };
  return { adminKeys, apiKeys, reload: adminKeys === undefined && apiKeys === undefined ? undefined : reload };
}

async function requireLoopback(config: Config, host: "ADMIN_HOST" | "RESTATE_ENDPOINT_HOST", lock: keyof Config): Promise<void> {
  if (await isOnLoopback(config[host])) return;
  throw new ConfigError(`${host}=${JSON.stringify(config[host])}: is not on loopback, so it needs ${lock}`);
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
