import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import { Exposition } from "../support/exposition.ts";
import { codesOf, tablesOf } from "../support/markdown.ts";
import { readQuery } from "../support/promql.ts";
import { Receiver, startOnFile } from "./fixture.ts";
import { metricsOfNodes } from "./quiet-sources.ts";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const RULES = "deploy/prometheus/alerts.yml";
const CASES = "deploy/prometheus/alerts.test.yml";
const DASHBOARD = "deploy/grafana/order-pipeline.json";
/** Given by Prometheus to whatever it scrapes. */
const OF_PROMETHEUS = ["instance", "job"];
const CONTRACT = [
  "orders_total{status,kind}",
  "orders_in_flight",
  "order_duration_seconds",
  "steps_total{step,status}",
  "steps_running",
  "steps_waiting{step}",
  "step_duration_seconds{step}",
  "step_cancel_seconds",
  "threads{pool}",
  "threads_replaced_total{reason}",
  "capacity_in_use{step}",
  "circuit_state{step}",
  "compensations_total{step,status}",
  "journal_commit_seconds",
  "journal_bytes",
  "nodes",
  "compensations_pending{step}",
  "compensation_oldest_seconds{step}",
  "events_pending",
  "event_oldest_seconds",
  "dead_letters",
  "webhook_receiver_up",
];

const read = (path: string) => readFileSync(`${PROJECT}/${path}`, "utf8");

const rules = (parse(read(RULES)) as { groups: { rules: { alert: string; expr: string }[] }[] }).groups.flatMap((group) => group.rules);
const alertQueries = rules.map(({ expr }) => expr);
const dashboard = JSON.parse(read(DASHBOARD)) as { panels: { title: string; targets?: { expr: string }[] }[] };
const panelQueries = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

/** Metrics as `name{label,...}`, from the table that says what they are. */
function documented(): string[] {
  const tables = tablesOf(read("docs/operating.md")).filter(({ header }) => header[0] === "metric");
  return tables.flatMap(({ rows }) => rows.flatMap(([names = ""]) => codesOf(names)));
}

let text: string;
let metrics: Exposition;

beforeAll(async () => {
  const receiver = await Receiver.start();
  // With everything that has metrics. Nothing was ever ordered here: what has not happened yet is 0, not absent.
  const server = await startOnFile({ WEBHOOK_URL: receiver.url, OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1" });
  text = (await server.get("/metrics")).text + (await metricsOfNodes());
  metrics = new Exposition(text);
  await server[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
});

/** As the contract and the README write it. */
const shown = (family: string) => {
  const series = metrics.types.get(family) === "histogram" ? `${family}_bucket` : family;
  const labels = [...(metrics.labels.get(series)?.keys() ?? [])].filter((label) => label !== "le");
  return labels.length === 0 ? family : `${family}{${labels.join(",")}}`;
};

/** What is wrong with a query, for the metrics that there are. */
function faultsOf(query: string): string[] {
  const { selectors, groupedBy } = readQuery(query);
  const faults = selectors.length === 0 ? ["asks for nothing"] : [];
  const known = new Set(OF_PROMETHEUS);
  for (const { name, matchers } of selectors) {
    const labels = name === "up" ? new Map<string, Set<string>>() : metrics.labels.get(name);
    if (labels === undefined) {
      faults.push(`${name} does not exist`);
      continue;
    }
    for (const label of labels.keys()) known.add(label);
    for (const { label, operator, value } of matchers) {
      if (OF_PROMETHEUS.includes(label)) continue;
      if (!labels.has(label)) faults.push(`${name} has no label ${label}`);
      else if (operator.endsWith("~")) faults.push(`${operator} is not looked into`);
      else if (labels.get(label)?.has(value) !== true) faults.push(`${name} has no ${label}="${value}"`);
    }
  }
  return [...faults, ...groupedBy.filter((label) => !known.has(label)).map((label) => `nothing has the label ${label}`)];
}

test("/metrics has every name of the contract, with its labels", () => {
  expect(metrics.own.map(shown)).toEqual(expect.arrayContaining(CONTRACT));
});

test("the documentation has every metric, with its labels, and no other", () => {
  expect(documented().sort()).toEqual(metrics.own.map(shown).sort());
});

describe("every query is of names, labels and values that there are", () => {
  test.each(alertQueries)("alert: %s", (query) => {
    expect(faultsOf(query)).toEqual([]);
  });

  test.each(panelQueries)("panel: %s", (query) => {
    expect(faultsOf(query)).toEqual([]);
  });

  test("there are some, and each kind of fault would be found", () => {
    expect([alertQueries.length > 10, panelQueries.length > 20]).toEqual([true, true]);
    for (const [query, fault] of [
      ['sum(rate(orders_totals{status="ok"}[1m]))', "orders_totals does not exist"],
      ['sum(rate(orders_total{state="ok"}[1m]))', "orders_total has no label state"],
      ['sum(rate(orders_total{status="okay"}[1m]))', 'orders_total has no status="okay"'],
      ["sum by (stage) (rate(steps_total[1m])) > 0 and on () journal_healthy == 1", "nothing has the label stage"],
      ["histogram_quantile(0.5, sum by (le) (rate(order_duration_seconds[5m])))", "order_duration_seconds does not exist"],
      ["1 + 1", "asks for nothing"],
    ] as const) {
      expect(faultsOf(query)).toContain(fault);
    }
  });
});

test("for each alert there are cases in which it rings, and later ones in which it has stopped", () => {
  type Case = { exp_samples?: { labels: string }[] };
  const rang = new Set<string>();
  const stopped = new Set<string>();
  for (const { promql_expr_test: cases } of (parse(read(CASES)) as { tests: { promql_expr_test: Case[] }[] }).tests) {
    const before = new Set<string>();
    for (const { exp_samples = [] } of cases) {
      const now = new Set(exp_samples.map(({ labels }) => /alertname="(\w+)"/.exec(labels)?.[1] ?? labels));
      for (const name of before.difference(now)) stopped.add(name);
      for (const name of now) rang.add(name) && before.add(name);
    }
  }
  const names = new Set(rules.map(({ alert }) => alert));
  expect([rang, stopped]).toEqual([names, names]);
});

const promtool = spawnSync("promtool", ["--version"]).status === 0;
afterAll(() => {
  if (!promtool) process.stderr.write("promtool is not installed: rules and metrics were not given to it\n");
});

describe.skipIf(!promtool)("promtool", () => {
  const run = (args: string[], input = "") => {
    const { status, stdout, stderr } = spawnSync("promtool", args, { cwd: PROJECT, input, encoding: "utf8" });
    return { status, output: stdout + stderr };
  };

  test("takes the rules, and they alert when they should", () => {
    expect(run(["check", "rules", RULES])).toMatchObject({ status: 0 });
    const { status, output } = run(["test", "rules", CASES]);
    expect([output, status]).toEqual([expect.stringContaining("SUCCESS"), 0]);
  });

  test("takes the configuration that scrapes with a key", () => {
    expect(run(["check", "config", "--syntax-only", "deploy/prometheus/prometheus.yml"])).toMatchObject({ status: 0 });
  });

  test("reads the queries of the dashboard and what /metrics gives", () => {
    const queries = panelQueries.map((query) => query.replaceAll("$__rate_interval", "1m"));
    const rules = { groups: [{ name: "dashboard", rules: queries.map((expr, n) => ({ record: `panel_${n}`, expr })) }] };
    // JSON is YAML.
    const directory = mkdtempSync(join(tmpdir(), "dashboards-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const file = join(directory, "rules.json");
    writeFileSync(file, JSON.stringify(rules));
    const { status, output } = run(["check", "rules", file]);
    expect([output, status]).toEqual([expect.stringContaining("SUCCESS"), 0]);
    // 3: it has read everything and has opinions on names, such as on Node's own.
    expect(run(["check", "metrics"], text)).toMatchObject({ status: expect.toSatisfy((code) => code === 0 || code === 3) });
  });
});
