import { type Config, ConfigError } from "../config.ts";
import { AccessKeys } from "../http/access-keys.ts";
import { isOnLoopback } from "../http/known-hosts.ts";
import { SecretFileError } from "../secret-file.ts";
import type { Observers } from "./observers.ts";

/** Whose requests each listener takes. Without keys it takes anybody's. */
export interface Access {
  readonly adminKeys: AccessKeys | undefined;
  readonly apiKeys: AccessKeys | undefined;
  /** Reads the files again; a bad one changes nothing but the log. Absent where there is none. */
  readonly reload: (() => Promise<void>) | undefined;
}

/**
 * Requests without a valid key are counted, and logged once a second. Throws `SecretFileError`, and `ConfigError` where the admin listener
 * would be open to other machines without keys.
 */
export async function readAccess(config: Config, { log, faults }: Observers): Promise<Access> {
  const read = (setting: "ADMIN_KEYS_FILE" | "API_KEYS_FILE", listener: string) => {
    const onRefused = (address: string | undefined) =>
      faults.line("warn", `${listener} listener: a request without a valid key`, { address });
    const { [setting]: file } = config;
    return file === undefined ? undefined : AccessKeys.read(setting, file, onRefused);
  };
  const adminKeys = await read("ADMIN_KEYS_FILE", "admin");
  if (adminKeys === undefined && !(await isOnLoopback(config.ADMIN_HOST))) {
    throw new ConfigError(`ADMIN_HOST=${JSON.stringify(config.ADMIN_HOST)}: is not known to be on loopback, so it needs ADMIN_KEYS_FILE`);
  }
  const apiKeys = await read("API_KEYS_FILE", "public");
  const files = Object.entries({ "admin keys": adminKeys, "API keys": apiKeys });
  const reload = async () => {
    for (const [what, keys] of files) {
      try {
        await keys?.reload();
        if (keys !== undefined) log.info({ keys: keys.count }, `${what} read again`);
      } catch (error) {
        if (!(error instanceof SecretFileError)) throw error;
        log.error({ reason: error.message }, `${what} stay as they were`);
      }
    }
  };
  return { adminKeys, apiKeys, reload: adminKeys === undefined && apiKeys === undefined ? undefined : reload };
}
