import { existsSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeSettings, readConfig } from "../../src/config.ts";
import { openApiDocument } from "../../src/http/openapi/document.ts";
import { STATUS } from "../../src/http/status.ts";
import { orderOf, postOrder, send } from "../support/http-client.ts";
import { codesOf, section, tablesOf } from "../support/markdown.ts";
import { startService, type TestService } from "../support/service.ts";
import { PAGES } from "./pages.ts";

const CONTRACT = new URL("../../../shared/CONTRACT.md", import.meta.url);
/** Defaults that differ from machine to machine. */
const OF_MACHINE: Readonly<Record<string, string>> = { CPU_THREADS: "available CPUs", NODE_NAME: "host name", THREADS: "available CPUs" };

/** The rows of every table in `text` whose first column is headed `name`. */
const rowsOf = (text: string, name: string) => tablesOf(text).flatMap(({ header, rows }) => (header[0] === name ? rows : []));

/** Names with their defaults; a row may have several of both, or one default for all its names. */
function settingsIn(text: string): Map<string, string> {
  return new Map(
    rowsOf(text, "name").flatMap(([names = "", defaults = ""]) => {
      const values = defaults.replaceAll("`", "").split(", ");
      return codesOf(names).map((name, n): [string, string] => [name, values[n] ?? values[0] ?? ""]);
    }),
  );
}

/** Method and path of everything in backquotes that begins with a method. */
function routesIn(text: string): string[] {
  const routes = codesOf(text).flatMap((code) => /^(?:GET|POST|PUT|PATCH|DELETE) \/[^?\s]*/.exec(code)?.[0] ?? []);
  return [...new Set(routes)].sort();
}

/** Names, without their labels. */
function metricsIn(codes: readonly string[]): Set<string> {
  return new Set(codes.flatMap((code) => /^([a-z]+(?:_[a-z]+)*)(?:\{[a-z_, ]+\})?$/.exec(code)?.[1] ?? []));
}

/** Without the library's own page, whose options and fields are not the service's. */
const OF_SERVICE = [...PAGES].flatMap(([page, text]) => (page === "src/threads/README.md" ? [] : [text])).join("\n\n");
const settings = settingsIn(OF_SERVICE);
// This page has the routes of providers.
const routes = routesIn([...PAGES].flatMap(([page, text]) => (page === "docs/providers-and-events.md" ? [] : [text])).join("\n"));
// test/admin/dashboards.test.ts compares them with those of a service.
const metrics = metricsIn(rowsOf(OF_SERVICE, "metric").flatMap(([names = ""]) => codesOf(names)));

test("the documented settings are those of the service, with their defaults", () => {
  const defaults = describeSettings()
    .split("\n")
    .slice(1)
    .map((line) => /^ *(\S+) +(\S+)/.exec(line)?.slice(1) as [string, string]);
  const actual = new Map(defaults.map(([name, value]) => [name, OF_MACHINE[name] ?? value]));
  expect(Object.fromEntries(settings)).toEqual(Object.fromEntries(actual));
  expect([...actual.keys()]).toEqual(Object.keys(readConfig({})));
});

test("what a setting means is said in the words of --help", () => {
  const said = describeSettings();
  const rows = rowsOf(OF_SERVICE, "name").filter(([, , meaning]) => !said.includes(` ${meaning}`));
  expect(rows).toEqual([]);
});

test("the documented error kinds are those of the service, with their statuses", () => {
  const documented = rowsOf(OF_SERVICE, "kind").map(([kind = "", status = ""]): [string, number] => [
    codesOf(kind)[0] ?? "",
    Number(status),
  ]);
  expect(Object.fromEntries(documented)).toEqual(STATUS);
});

test("every alert has a row that says what to do", () => {
  const rules = readFileSync(new URL("../../deploy/prometheus/alerts.yml", import.meta.url), "utf8");
  const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
  expect(alerts.length).toBeGreaterThan(0);
  expect(rowsOf(OF_SERVICE, "alert").map(([name = ""]) => codesOf(name)[0])).toEqual(alerts);
});

test("the documented fields and headers of an order are those of the OpenAPI document", () => {
  const document = JSON.parse(JSON.stringify(openApiDocument(true)));
  const documented = (heading: string) => rowsOf(OF_SERVICE, heading).map(([name = ""]) => codesOf(name)[0]);
  expect(documented("field")).toEqual(Object.keys(document.components.schemas.Order.properties));
  const parameters: { name: string; in: string }[] = document.paths["/order"].post.parameters;
  const headers = parameters.filter((parameter) => parameter.in === "header").map(({ name }) => name);
  // The OpenAPI document has it as a security scheme.
  expect(
    documented("header")
      .filter((name) => name !== "Authorization")
      .sort(),
  ).toEqual(headers.sort());
});

describe("a service", () => {
  let server: TestService;
  beforeAll(async () => {
    server = await startService();
    await postOrder(server.port, orderOf("placed", 0));
  });
  afterAll(() => server.stop());

  test.each(routes)("%s is on one of its listeners, or on both where a probe asks", async (route) => {
    const [method = "", template = ""] = route.split(" ");
    const path = template.replace("{order_id}", "placed").replaceAll(/\{\w+\}/g, "1");
    // A route answers another method by naming its own, and does nothing.
    const answers = await Promise.all([server.port, server.adminPort].map((port) => send(port, { method: "DELETE", path })));
    const here = answers.filter(({ status }) => status === 405);
    expect(answers.map(({ status }) => status).sort()).toEqual([/^\/(healthz|readyz)$/.test(path) ? 405 : 404, 405]);
    expect(here[0]?.headers.allow?.split(", ")).toContain(method);
  });
});

test("the tables were found", () => {
  expect(settings.size).toBeGreaterThan(30);
  expect(routes.length).toBeGreaterThan(15);
  expect(metrics.size).toBeGreaterThan(8);
});

describe.skipIf(!existsSync(CONTRACT))("the documentation has what the contract names", () => {
  const contract = existsSync(CONTRACT) ? readFileSync(CONTRACT, "utf8") : "";

  test("settings, with the same defaults", () => {
    const named = settingsIn(section(contract, /^## 4\. /));
    expect(named.size).toBeGreaterThan(30);
    const differ = [...named].flatMap(([name, value]) => (settings.get(name) === value ? [] : [name]));
    expect(differ).toEqual([]);
  });

  test("routes", () => {
    const named = routesIn(section(contract, /^## 1\. /) + section(contract, /^## 2\. /));
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((route) => !routes.includes(route))).toEqual([]);
  });

  test("metrics", () => {
    const [paragraph = ""] = section(contract, /^## 6\. /).split("`GET /debug/threads`");
    const named = [...metricsIn(codesOf(paragraph))];
    expect(named.length).toBeGreaterThan(15);
    expect(named.filter((name) => !metrics.has(name))).toEqual([]);
  });
});
