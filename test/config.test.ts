import { availableParallelism, hostname } from "node:os";
import { describe, expect, test } from "vitest";
import { describeSettings, readConfig } from "../src/config.ts";
import { refusalOf } from "./support/config-refusal.ts";

const MAX_TIMER_MS = 2 ** 31 - 1;

const WHOLE = [
  { name: "PORT", minimum: 0, maximum: 65_535 },
  { name: "ADMIN_PORT", minimum: 0, maximum: 65_535 },
  { name: "ORDER_TIMEOUT_MS", minimum: 1, maximum: MAX_TIMER_MS },
  { name: "COMPENSATION_TIMEOUT_MS", minimum: 1, maximum: MAX_TIMER_MS },
  { name: "THREADS", minimum: 1, maximum: 256 },
  { name: "CPU_THREADS", minimum: 1, maximum: 256 },
  { name: "CANCEL_GRACE_MS", minimum: 1, maximum: MAX_TIMER_MS },
  { name: "PAYMENT_CAPACITY", minimum: 1, maximum: 1_000_000 },
  { name: "VENDOR_CAPACITY", minimum: 1, maximum: 1_000_000 },
  { name: "COURIER_CAPACITY", minimum: 1, maximum: 128 },
  { name: "MAX_IN_FLIGHT", minimum: 1, maximum: 1_000_000 },
  { name: "MAX_CONNECTIONS", minimum: 1, maximum: 1_000_000 },
  { name: "KEEP_ALIVE_TIMEOUT_MS", minimum: 1, maximum: 86_400_000 },
  { name: "HEADERS_TIMEOUT_MS", minimum: 1, maximum: 86_400_000 },
  { name: "REQUEST_TIMEOUT_MS", minimum: 1, maximum: 86_400_000 },
  { name: "SHUTDOWN_TIMEOUT_MS", minimum: 0, maximum: MAX_TIMER_MS },
  { name: "NODE_LEASE_MS", minimum: 1_000, maximum: 60_000 },
] as const;

const LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"];

// The others are in the table of the pages, and compared with that in test/docs/tables.test.ts.
test("as many threads as there are processors, up to a limit, are the default", () => {
  const processors = availableParallelism();
  expect(readConfig({})).toMatchObject({ THREADS: Math.min(4, processors), CPU_THREADS: Math.min(8, processors) });
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

  const others = ["abc", " 1", "1 ", "1\n", "1.0", "1.5", "1e2", "0x10", "+1", "-0", "1_000", "1,000", "١", "NaN", "Infinity", "true", " "];
  test.each([String(minimum - 1), String(maximum + 1), "9".repeat(30), ...others])(
    "refuses %j in one line with name, value and rule",
    (value) => {
      expect(refusalOf({ [name]: value })).toBe(`${name}=${JSON.stringify(value)}: ${rule}`);
    },
  );
});

describe.each(["HOST", "ADMIN_HOST"] as const)("%s", (name) => {
  test.each(["localhost", "0.0.0.0", "::", "::1", "fe80::1%eth0", "orders.example.com", "my_host-1"])("takes %s", (value) => {
    expect(readConfig({ [name]: value })[name]).toBe(value);
  });

  test.each([" ", "a b", "http://localhost", "localhost/", "a\nb", "[::1]", "ho$t"])("refuses %j", (value) => {
    expect(refusalOf({ [name]: value })).toBe(`${name}=${JSON.stringify(value)}: must be a host name or an address`);
  });
});

describe("ALLOWED_HOSTS", () => {
  test("takes names separated by commas, in any case", () => {
    expect(readConfig({ ALLOWED_HOSTS: "orders.example.com" }).ALLOWED_HOSTS).toEqual(["orders.example.com"]);
    expect(readConfig({ ALLOWED_HOSTS: "a.example, B_1-c.example ,d" }).ALLOWED_HOSTS).toEqual(["a.example", "b_1-c.example", "d"]);
  });

  test.each([",", "a,", "a,,b", "a b", "a:80", "http://a", "*.example", "a.", ".a", "[::1]", " "])("refuses %j", (value) => {
    expect(refusalOf({ ALLOWED_HOSTS: value })).toBe(
      `ALLOWED_HOSTS=${JSON.stringify(value)}: must be host names without ports, separated by commas`,
    );
  });
});

describe("RATE_LIMIT", () => {
  test.each([
    ["1", 1, 1],
    ["100", 100, 100],
    ["100/250", 100, 250],
    ["100/1", 100, 1],
    ["1000000/1000000", 1_000_000, 1_000_000],
  ])("takes %s", (value, perSecond, burst) => {
    expect(readConfig({ RATE_LIMIT: value }).RATE_LIMIT).toEqual({ perSecond, burst });
  });

  test.each(["", "off"])("%j is no limit", (value) => {
    expect(readConfig({ RATE_LIMIT: value }).RATE_LIMIT).toBeUndefined();
  });

  test.each(["0", "-1", "1.5", "1e3", " 1", "1/", "/1", "1/0", "0/1", "1/2/3", "1 / 2", "1000001", "1/1000001", "99999999", "OFF", "10/s"])(
    "refuses %j",
    (value) => {
      const rule = "must be off, N or N/burst, each a whole number from 1 to 1000000";
      expect(refusalOf({ RATE_LIMIT: value })).toBe(`RATE_LIMIT=${JSON.stringify(value)}: ${rule}`);
    },
  );
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

describe("NODE_NAME", () => {
  test("is the host's name where none is given, if need be made fit", () => {
    expect(readConfig({}).NODE_NAME).toBe(
      hostname()
        .replaceAll(/[^\w.-]/g, "-")
        .slice(0, 63),
    );
  });

  test.each(["a", "shop-1", "shop_1.eu.example", "9", "x".repeat(63)])("takes %s", (value) => {
    expect(readConfig({ NODE_NAME: value }).NODE_NAME).toBe(value);
  });

  test.each([" ", "a b", "é", "a/b", "a\n", "x".repeat(64)])("refuses %j", (value) => {
    const rule = "must be 1 to 63 letters, digits, dots, underscores and hyphens";
    expect(refusalOf({ NODE_NAME: value })).toBe(`NODE_NAME=${JSON.stringify(value)}: ${rule}`);
  });
});

describe.each(["PAYMENT", "VENDOR", "COURIER"])("a real %s", (provider) => {
  const url = { [`${provider}_URL`]: "http://127.0.0.1:1/x" };

  test("needs a journal that outlives the process", () => {
    expect(refusalOf({ ...url, JOURNAL: "memory" })).toBe(
      `JOURNAL="memory": must be a file or postgres://... where ${provider}_URL is set, for a crash would forget what to compensate`,
    );
    expect(readConfig({ ...url, JOURNAL: "memory.db" }).JOURNAL).toBe("memory.db");
  });

  test("may have a key, which needs it", () => {
    const file = { [`${provider}_KEY_FILE`]: "/run/secrets/key" };
    expect(readConfig({ ...url, ...file })).toMatchObject(file);
    expect(refusalOf(file)).toBe(`${provider}_KEY_FILE: needs ${provider}_URL as well`);
  });
});

describe("what may hold a secret is not shown", () => {
  const providerRule = "must be an http or https URL without user, query or fragment";
  const receiverRule = "must be an http or https URL without user or fragment";
  const HIDDEN = "its value is not shown, for it may hold a secret";

  test.each([
    ["PAYMENT_URL", "https://shop:hunter2@pay.example/v1", `PAYMENT_URL (${HIDDEN}): ${providerRule}`],
    ["PAYMENT_URL", "https://hunter2@pay.example", `PAYMENT_URL (${HIDDEN}): ${providerRule}`],
    ["PAYMENT_URL", "shop:hunter2@pay.example", `PAYMENT_URL (${HIDDEN}): ${providerRule}`],
    ["PAYMENT_URL", "ftp://pay.example/a/p@hunter2", `PAYMENT_URL (${HIDDEN}): ${providerRule}`],
    ["VENDOR_URL", "https://vendor.example/?token=hunter2", `VENDOR_URL (${HIDDEN}): ${providerRule}`],
    ["COURIER_URL", "https://courier.example#hunter2", `COURIER_URL (${HIDDEN}): ${providerRule}`],
    ["COURIER_URL", "sk_live_hunter2", `COURIER_URL (${HIDDEN}): ${providerRule}`],
    ["WEBHOOK_URL", "https://shop:hunter2@events.example/in", `WEBHOOK_URL (${HIDDEN}): ${receiverRule}`],
    ["WEBHOOK_URL", "htps://events.example/in/hunter2", `WEBHOOK_URL="htps://events.example/...": ${receiverRule}`],
    ["WEBHOOK_URL", "https://events.example/in/hunter2?token=hunter2", "WEBHOOK_URL: needs WEBHOOK_SECRET_FILE as well"],
    ["WEBHOOK_SECRET_FILE", "whsec_hunter2", "WEBHOOK_SECRET_FILE: needs WEBHOOK_URL as well"],
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:hunter2@otel.example", `OTEL_EXPORTER_OTLP_ENDPOINT (${HIDDEN}): ${providerRule}`],
  ])("%s=%s", (name, value, expected) => {
    expect(refusalOf({ [name]: value })).toBe(expected);
  });

  test.each(["ftp://pay.example", "ws://127.0.0.1:8080", "x://[::1]:80"])("but %s is", (value) => {
    expect(refusalOf({ PAYMENT_URL: value })).toBe(`PAYMENT_URL="${value}": ${providerRule}`);
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
  const [head, ...lines] = describeSettings().split("\n");
  expect(head).toMatch(/^ {2}NAME +DEFAULT +MEANING$/);
  for (const [name, value] of Object.entries(config)) {
    // What has no default as a value has some word for that.
    const fallback = ["string", "number"].includes(typeof value) ? String(value) : "\\S+";
    expect(lines.filter((line) => new RegExp(`^ +${name} +${fallback} +\\w.*\\S$`).test(line))).toHaveLength(1);
  }
  expect(lines).toHaveLength(Object.keys(config).length);
  // Each column begins at one place, however long a name is and however narrow the terminal.
  for (const columns of [80, 120]) {
    const table = describeSettings(columns).split("\n");
    const [defaults = 0, meanings = 0] = ["DEFAULT", "MEANING"].map((title) => table[0]?.indexOf(title));
    for (const line of table) {
      expect(line.slice(meanings - 2)).toMatch(/^ {2}\S/);
      if (line.slice(0, meanings).trim() !== "") expect(line.slice(defaults - 2)).toMatch(/^ {2}\S/);
    }
    expect(table.filter((line) => line.length > columns)).toEqual([]);
    expect(table.length).toBeGreaterThan(lines.length + 1);
  }
});
