import { ConfigError, readConfig } from "../../src/config.ts";

/** The message with which these settings are refused. */
export const refusalOf = (environment: Record<string, string>): string => {
  try {
    readConfig(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error(`was taken: ${JSON.stringify(environment)}`);
};
