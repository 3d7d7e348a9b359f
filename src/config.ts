import { availableParallelism } from "node:os";
import { z } from "zod";

/** A setting whose value breaks its rule; the message is one line that names it, its value and the rule. */
export class ConfigError extends Error {}

const MAX_TIMER_MS = 2_147_483_647; // A Node timer holds a signed 32-bit number of milliseconds.

function whole(minimum: number, maximum: number): z.ZodType<number> {
  const rule = `must be a whole number from ${minimum} to ${maximum}`;
  return z
    .string()
    .regex(/^\d{1,15}$/, rule)
    .transform(Number)
    .refine((value) => value >= minimum && value <= maximum, rule);
}

const host = z.string().regex(/^[\w.:%-]+$/, "must be a host name or an address");
const port = whole(0, 65_535);
const level = z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"], {
  error: "must be fatal, error, warn, info, debug, trace or silent",
});

interface Setting {
  readonly rule: z.ZodType;
  readonly fallback: string | undefined;
  readonly meaning: string;
}

function setting<T>(rule: z.ZodType<T>, fallback: string, meaning: string): Setting & { rule: z.ZodType<T> } {
  return { rule, fallback, meaning };
}

const CPUS = String(availableParallelism());

/** Every setting with its rule, default and meaning: the one place that `--help`, the checks and the types come from. */
const SETTINGS = {
  HOST: setting(host, "127.0.0.1", "public listener, address"),
  PORT: setting(port, "8080", "public listener, port (0: any free one)"),
  ADMIN_HOST: setting(host, "127.0.0.1", "admin listener, address"),
  ADMIN_PORT: setting(port, "9090", "admin listener, port (0: any free one)"),
  ORDER_TIMEOUT_MS: setting(whole(1, MAX_TIMER_MS), "2000", "deadline of one order"),
  THREADS: setting(whole(1, 256), CPUS, "OS threads of the shared pool (each carries many waiting steps)"),
  CPU_THREADS: setting(whole(1, 256), CPUS, "OS threads of the exclusive pool (one computing step each)"),
  CANCEL_GRACE_MS: setting(whole(1, MAX_TIMER_MS), "250", "how long a canceled step may take to stop before its thread is replaced"),
  PAYMENT_CAPACITY: setting(whole(1, 1_000_000), "1000", "payment steps at one time"),
  VENDOR_CAPACITY: setting(whole(1, 1_000_000), "1000", "vendor steps at one time"),
  COURIER_CAPACITY: setting(whole(1, 128), "5", "couriers"),
  MAX_IN_FLIGHT: setting(whole(1, 1_000_000), "10000", "orders at one time; past it `overloaded`"),
  SHUTDOWN_TIMEOUT_MS: setting(whole(0, MAX_TIMER_MS), "10000", "how long draining may take"),
  LOG_LEVEL: setting(level, "info", "fatal, error, warn, info, debug, trace or silent"),
} as const;

type SettingName = keyof typeof SETTINGS;

/** The checked configuration: the settings under their own names. Frozen. */
export type Config = { readonly [Name in SettingName]: z.infer<(typeof SETTINGS)[Name]["rule"]> };

/**
 * Reads the configuration from environment variables; an empty one counts as absent. Throws `ConfigError` for the
 * first that breaks its rule.
 */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const values = Object.entries(SETTINGS).map(([name, { rule, fallback }]) => {
    const given = environment[name];
    const text = given === undefined || given === "" ? fallback : given;
    const result = rule.safeParse(text);
    if (!result.success) throw new ConfigError(`${name}=${JSON.stringify(text)}: ${result.error.issues[0]?.message}`);
    return [name, result.data];
  });
  return Object.freeze(Object.fromEntries(values)) as Config;
}

/** The settings as lines for `--help`. */
export function describeSettings(): string {
  return Object.entries(SETTINGS)
    .map(([name, { fallback, meaning }]) => `  ${name.padEnd(21)} ${String(fallback).padEnd(10)} ${meaning}`)
    .join("\n");
}
