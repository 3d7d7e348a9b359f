import { availableParallelism } from "node:os";
import { describe, expect, test } from "vitest";
import { ConfigError, describeSettings, readConfig } from "../src/config.ts";

const MAX_TIMER_MS = 2 ** 31 - 1;

const WHOLE = [
  { name: "PORT", minimum: 0, maximum: 65_535 },
  { name: "ADMIN_PORT", minimum: 0, maximum: 65_535 },
  { name: "ORDER_TIMEOUT_MS", minimum: 1, maximum: MAX_TIMER_MS },
  { name: "THREADS", minimum: 1, maximum: 256 },
  { name: "CPU_THREADS", minimum: 1, maximum: 256 },
  { name: "CANCEL_GRACE_MS", minimum: 1, maximum: MAX_TIMER_MS },
  { name: "PAYMENT_CAPACITY", minimum: 1, maximum: 1_000_000 },
  { name: "VENDOR_CAPACITY", minimum: 1, maximum: 1_000_000 },
  { name: "COURIER_CAPACITY", minimum: 1, maximum: 128 },
  { name: "MAX_IN_FLIGHT", minimum: 1, maximum: 1_000_000 },
  { name: "SHUTDOWN_TIMEOUT_MS", minimum: 0, maximum: MAX_TIMER_MS },
] as const;

const LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"];

const refusalOf = (environment: Record<string, string>): string => {
  try {
    readConfig(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error(`was taken: ${JSON.stringify(environment)}`);
};

test("the defaults are the contract's", () => {
  expect(readConfig({})).toMatchObject({
    HOST: "127.0.0.1",
    PORT: 8080,
    ADMIN_HOST: "127.0.0.1",
    ADMIN_PORT: 9090,
    ORDER_TIMEOUT_MS: 2000,
    THREADS: availableParallelism(),
    CPU_THREADS: availableParallelism(),
    CANCEL_GRACE_MS: 250,
    PAYMENT_CAPACITY: 1000,
    VENDOR_CAPACITY: 1000,
    COURIER_CAPACITY: 5,
    MAX_IN_FLIGHT: 10_000,
    SHUTDOWN_TIMEOUT_MS: 10_000,
    LOG_LEVEL: "info",
  });
});

test("an empty setting counts as absent", () => {
  const empty = Object.fromEntries(Object.keys(readConfig({})).map((name) => [name, ""]));
  expect(readConfig(empty)).toEqual(readConfig({}));
  expect(readConfig({ PORT: undefined })).toEqual(readConfig({}));
});

test("variables of other names change nothing", () => {
  expect(readConfig({ PATH: "/bin", port: "1", Port: "2", THREADS_: "x" })).toEqual(readConfig({}));
});

test("the result is frozen", () => {
  const config = readConfig({ PORT: "1" });
  expect(Object.isFrozen(config)).toBe(true);
  expect(() => Object.assign(config, { PORT: 2 })).toThrow(TypeError);
  expect(config.PORT).toBe(1);
});

describe.each(WHOLE)("$name", ({ name, minimum, maximum }) => {
  const rule = `must be a whole number from ${minimum} to ${maximum}`;

  test("takes both ends of its range, as numbers", () => {
    expect(readConfig({ [name]: String(minimum) })[name]).toBe(minimum);
    expect(readConfig({ [name]: String(maximum) })[name]).toBe(maximum);
  });

  test.each([
    String(minimum - 1),
    String(maximum + 1),
    "9".repeat(30),
    "abc",
    " 1",
    "1 ",
    "1\n",
    "1.0",
    "1.5",
    "1e2",
    "0x10",
    "+1",
    "-0",
    "1_000",
    "1,000",
    "١",
    "NaN",
    "Infinity",
    "true",
    " ",
  ])("refuses %j in one line with name, value and rule", (value) => {
    expect(refusalOf({ [name]: value })).toBe(`${name}=${JSON.stringify(value)}: ${rule}`);
  });
});

describe.each(["HOST", "ADMIN_HOST"] as const)("%s", (name) => {
  test.each(["localhost", "0.0.0.0", "::", "::1", "fe80::1%eth0", "orders.example.com", "my_host-1"])("takes %s", (value) => {
    expect(readConfig({ [name]: value })[name]).toBe(value);
  });

  test.each([" ", "a b", "http://localhost", "localhost/", "a\nb", "[::1]", "ho$t"])("refuses %j", (value) => {
    expect(refusalOf({ [name]: value })).toBe(`${name}=${JSON.stringify(value)}: must be a host name or an address`);
  });
});

describe("LOG_LEVEL", () => {
  test.each(LEVELS)("takes %s", (level) => {
    expect(readConfig({ LOG_LEVEL: level }).LOG_LEVEL).toBe(level);
  });

  test.each(["INFO", "verbose", "30", " info", "__proto__"])("refuses %j", (value) => {
    const rule = "must be fatal, error, warn, info, debug, trace or silent";
    expect(refusalOf({ LOG_LEVEL: value })).toBe(`LOG_LEVEL=${JSON.stringify(value)}: ${rule}`);
  });
});

test("whatever the value, the refusal is one line", () => {
  for (const name of [...WHOLE.map((setting) => setting.name), "HOST", "ADMIN_HOST", "LOG_LEVEL"]) {
    for (const value of ["\n", "\u0000\r\n\u001b[31m", "no\nway: PORT=1"]) expect(refusalOf({ [name]: value })).toMatch(/^.+$/);
  }
});

test("of several bad settings one is named", () => {
  expect(refusalOf({ PORT: "a", THREADS: "b", HOST: "ok" })).toMatch(/^(PORT="a"|THREADS="b"): [^\n]*$/);
});

test("the description has a line for each setting, with its default and its meaning", () => {
  const config = readConfig({});
  const lines = describeSettings().split("\n");
  for (const [name, value] of Object.entries(config)) {
    // What has no default as a value has some word for that.
    const fallback = ["string", "number"].includes(typeof value) ? String(value) : "\\S+";
    expect(lines.filter((line) => new RegExp(`^ +${name} +${fallback} +\\w.*\\S$`).test(line))).toHaveLength(1);
  }
  expect(lines).toHaveLength(Object.keys(config).length);
});
