import { availableParallelism, hostname } from "node:os";
import { z } from "zod";
import { CUT_OFF_MS } from "./couriers/cut-off.ts";
import { ADDRESS_RULE, hasPassword, parseAddress, storeOf } from "./journal/postgres/address.ts";
import { LONGEST_CALLS_MS } from "./journal/rules/due.ts";
import { perStepSetting, STEP_TABLE, STEPS, stepSetting } from "./orders/steps.ts";
import { host, hostNames, providerUrl, rate, receiverUrl, unlessOff, whole } from "./setting-rules.ts";
import { textTable } from "./text-table.ts";

/** A setting whose value breaks its rule; the message is one line that names it, its value (unless that may hold a secret) and the rule. */
export class ConfigError extends Error {}

const MAX_TIMER_MS = 2_147_483_647; // A Node timer holds a signed 32-bit number of milliseconds.

const port = whole(0, 65_535);
// Longer than any client should be waited for, and short enough for the second that Node adds to be harmless.
const clientMs = whole(1, 24 * 60 * 60 * 1000);
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

/** A setting without a default: undefined where it is not given. */
function optional<T>(rule: z.ZodType<T>, meaning: string): Setting & { rule: z.ZodType<T | undefined> } {
  return { rule: rule.optional(), fallback: undefined, meaning };
}

// Of one letter: a drive of Windows.
const HAS_SCHEME = /^[a-z][a-z0-9+.-]+:\/\//i;
const journal = z
  .string()
  .refine((text) => storeOf(text) === "postgres" || !HAS_SCHEME.test(text), "must be a file, memory or postgres://...")
  .refine((text) => storeOf(text) !== "postgres" || !hasPassword(text), "must hold no password: that belongs into JOURNAL_PASSWORD_FILE")
  .refine((text) => storeOf(text) !== "postgres" || parseAddress(text) !== undefined, ADDRESS_RULE);

// As much as PostgreSQL shows of an `application_name`.
const nodeName = z.string().regex(/^[\w.-]{1,63}$/, "must be 1 to 63 letters, digits, dots, underscores and hyphens");
const NODE_NAME =
  hostname()
    .replaceAll(/[^\w.-]/g, "-")
    .slice(0, 63) || "node";
// Below a second a commit on a busy disk, or a pause of the process, would pass for the node's death. A minute is how long nobody would get an
// answer about the orders of a dead node.
const leaseMs = whole(1_000, 60_000);

const MAX_THREADS = 256;
/** A thread a processor, but not more: what a service needs of them and of memory does not grow with the machine. */
const threadsUpTo = (most: number) => String(Math.min(most, availableParallelism()));

/** Every setting with its rule, default and meaning: the one place that `--help`, the checks and the types come from. */
const SETTINGS = {
  HOST: setting(host, "127.0.0.1", "public listener, address"),
  PORT: setting(port, "8080", "public listener, port (0: any free one)"),
  ADMIN_HOST: setting(host, "127.0.0.1", "admin listener, address"),
  ADMIN_PORT: setting(port, "9090", "admin listener, port (0: any free one)"),
  ORDER_TIMEOUT_MS: setting(whole(1, MAX_TIMER_MS), "2000", "deadline of one order"),
  COMPENSATION_TIMEOUT_MS: setting(whole(1, MAX_TIMER_MS), "5000", "deadline of one call that compensates"),
  THREADS: setting(whole(1, MAX_THREADS), threadsUpTo(4), "OS threads of the shared pool (each carries many waiting steps)"),
  CPU_THREADS: setting(
    whole(1, MAX_THREADS),
    threadsUpTo(8),
    "OS threads of the exclusive pool (one computing step each), which start with the first step that computes",
  ),
  CANCEL_GRACE_MS: setting(
    whole(1, MAX_TIMER_MS),
    "250",
    "how long a canceled step may take to stop before nobody waits for it any longer; a thread that it holds up is replaced",
  ),
  ...perStepSetting("CAPACITY", (step) => {
    const { byDefault, atMost, counts } = STEP_TABLE[step].capacity;
    return setting(whole(1, atMost), String(byDefault), counts);
  }),
  MAX_IN_FLIGHT: setting(whole(1, 1_000_000), "10000", "requests that run or wait for an order at one time; past it `overloaded`"),
  MAX_CONNECTIONS: setting(
    whole(1, 1_000_000),
    "10000",
    "public connections at one time; for a further one the one that has been idle longest is closed",
  ),
  MAX_CONNECTIONS_PER_ADDRESS: setting(
    unlessOff(whole(1, 1_000_000)),
    "1000",
    "of these for one client address (an IPv6 /64 counts as one); `off` behind a balancer",
  ),
  KEEP_ALIVE_TIMEOUT_MS: setting(clientMs, "65000", "how long an idle connection stays open: longer than a usual balancer's 60 s"),
  HEADERS_TIMEOUT_MS: setting(clientMs, "10000", "how long a client may take to send headers"),
  REQUEST_TIMEOUT_MS: setting(clientMs, "15000", "how long a client may take to send a whole request, and to take in a whole answer"),
  RATE_LIMIT: setting(unlessOff(rate), "off", "orders per second for one client, `N` or `N/burst`; past it `rate_limited`"),
  API_KEYS_FILE: optional(
    z.string(),
    "file with the keys of clients that may send orders, one per line, or its SHA-256 as `sha256:HEX`; read again on SIGHUP",
  ),
  ALLOWED_HOSTS: optional(hostNames, "further names for the check of `Host`, separated by commas"),
  ADMIN_KEYS_FILE: optional(
    z.string(),
    "file with the keys of the admin listener, one per line, or its SHA-256 as `sha256:HEX`; read again on SIGHUP",
  ),
  JOURNAL: setting(
    journal,
    "data/orders.db",
    "SQLite file of the journal; `memory` keeps nothing, simulated providers only; `postgres://...` for many nodes",
  ),
  JOURNAL_PASSWORD_FILE: optional(z.string(), "file with the password for `postgres://`, so that it stands in no environment"),
  NODE_NAME: setting(nodeName, NODE_NAME, "on PostgreSQL: how this node is called in the log, on the live page and in lists"),
  NODE_LEASE_MS: setting(
    leaseMs,
    "5000",
    "on PostgreSQL: the server ends the session of a node that it has not heard of for this long, and other nodes close its orders",
  ),
  RETENTION_DAYS: setting(unlessOff(whole(1, 36_500)), "off", "failed attempts older than that are deleted; placed orders stay"),
  BACKUP_DIR: optional(z.string(), "where `POST /backup` may write, for a journal in a file; must exist at the start"),
  ...perStepSetting("URL", (step) => optional(providerUrl, `${STEP_TABLE[step].provider} over HTTP; simulated when absent`)),
  ...perStepSetting("KEY_FILE", (step) =>
    optional(z.string(), `file with the key sent to ${stepSetting(step, "URL")} as \`Authorization: Bearer\``),
  ),
  WEBHOOK_URL: optional(receiverUrl, "where order events are delivered; needs WEBHOOK_SECRET_FILE"),
  WEBHOOK_SECRET_FILE: optional(z.string(), "file with the secrets that events are signed with, one `whsec_...` per line"),
  SHUTDOWN_TIMEOUT_MS: setting(whole(0, MAX_TIMER_MS), "10000", "how long draining may take"),
  LOG_LEVEL: setting(level, "info", "fatal, error, warn, info, debug, trace or silent"),
  OTEL_EXPORTER_OTLP_ENDPOINT: optional(providerUrl, "base URL of an OTLP/HTTP collector that takes traces; none are made when absent"),
} as const;

type SettingName = keyof typeof SETTINGS;

/** The checked configuration: the settings under their own names. Frozen. */
export type Config = { readonly [Name in SettingName]: z.infer<(typeof SETTINGS)[Name]["rule"]> };

/** Reads environment variables; an empty one counts as absent. Throws `ConfigError` for the first that breaks its rule. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const values = Object.entries(SETTINGS).map(([name, { rule, fallback }]) => {
    const given = environment[name];
    const text = given === undefined || given === "" ? fallback : given;
    const result = rule.safeParse(text);
    if (!result.success) throw new ConfigError(`${withValue(name, text)}: ${result.error.issues[0]?.message}`);
    return [name, result.data];
  });
  const config = Object.fromEntries(values) as Config;
  requireTogether(config, "WEBHOOK_URL", "WEBHOOK_SECRET_FILE");
  requireTogether(config, "WEBHOOK_SECRET_FILE", "WEBHOOK_URL");
  requireStore(config);
  for (const step of STEPS) {
    const url = stepSetting(step, "URL");
    requireTogether(config, stepSetting(step, "KEY_FILE"), url);
    if (config.JOURNAL === "memory" && config[url] !== undefined) {
      throw new ConfigError(
        `${withValue("JOURNAL", "memory")}: must be a file or postgres://... where ${url} is set, for a crash would forget what to compensate`,
      );
    }
  }
  return Object.freeze(config);
}

/** What belongs to one store only is a mistake beside another one. */
function requireStore(config: Config): void {
  const onPostgres = storeOf(config.JOURNAL) === "postgres";
  if (config.JOURNAL_PASSWORD_FILE !== undefined && !onPostgres) {
    throw new ConfigError("JOURNAL_PASSWORD_FILE: needs JOURNAL=postgres://... as well");
  }
  // Whoever sets it counts on backups there.
  if (config.BACKUP_DIR !== undefined && onPostgres) {
    throw new ConfigError(
      `${withValue("BACKUP_DIR", config.BACKUP_DIR)}: must not be set with JOURNAL=postgres://..., whose backups PostgreSQL makes`,
    );
  }
  // A node uses its couriers until a cancel still has its time before the lease is over, and hears of the server four times a lease.
  const leastMs = 2 * (config.CANCEL_GRACE_MS + CUT_OFF_MS);
  if (onPostgres && config.NODE_LEASE_MS < leastMs) {
    const { NODE_LEASE_MS: leaseMs, CANCEL_GRACE_MS: graceMs } = config;
    throw new ConfigError(
      `NODE_LEASE_MS="${leaseMs}": must be at least ${leastMs} where CANCEL_GRACE_MS is ${graceMs}, or no courier could be used`,
    );
  }
  // What a dead node had open is due so late. A row dated further ahead counts as the mistake of a clock, and would be compensated while its call
  // is under way.
  const { ORDER_TIMEOUT_MS: orderMs, COMPENSATION_TIMEOUT_MS: compensationMs } = config;
  if (onPostgres && orderMs + compensationMs > LONGEST_CALLS_MS) {
    throw new ConfigError(
      `ORDER_TIMEOUT_MS="${orderMs}", COMPENSATION_TIMEOUT_MS="${compensationMs}": must be at most ${LONGEST_CALLS_MS} together with JOURNAL=postgres://...`,
    );
  }
}

/** This rule is not about the value, so the value is not shown. */
function requireTogether(config: Config, given: SettingName, needed: SettingName): void {
  if (config[given] !== undefined && config[needed] === undefined) throw new ConfigError(`${given}: needs ${needed} as well`);
}

/** A setting as an error line names it. A URL may hold a secret, and so may what is given in place of a secret's file. */
function withValue(name: string, text: string | undefined): string {
  if (!/_(URL|ENDPOINT|FILE)$/.test(name) && !(name === "JOURNAL" && /:/.test(text ?? ""))) return `${name}=${JSON.stringify(text)}`;
  const [origin] = /^[a-z][a-z0-9+.-]*:\/\/[\w.:[\]-]+(?=$|\/[^@?#]*$)/i.exec(text ?? "") ?? [];
  if (origin === undefined || name.endsWith("_FILE")) return `${name} (its value is not shown, for it may hold a secret)`;
  return `${name}=${JSON.stringify(origin === text ? text : `${origin}/...`)}`;
}

/** The settings as a table for `--help`, with a head. Lines are broken at so many columns where they are given. */
export function describeSettings(columns?: number): string {
  const rows = Object.entries(SETTINGS).map(([name, { fallback = "none", meaning }]) => [name, fallback, meaning]);
  return textTable([["NAME", "DEFAULT", "MEANING"], ...rows], columns);
}
