import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { updateDocuments, withResults } from "../../load/lab/documents.ts";
import { writeReport } from "../../load/lab/report.ts";
import { type Result, writeResult } from "../../load/lab/results.ts";

const directory = mkdtempSync(join(tmpdir(), "report-"));
const results = join(directory, "results");
const file = join(directory, "report.html");
const figure = (name: string, unit: string, rounds: readonly number[]) => {
  const sorted = rounds.toSorted((a, b) => a - b);
  return { name, unit, rounds, median: sorted[1] as number, min: sorted[0] as number, max: sorted[2] as number };
};
const RESULT: Result = {
  name: "journal",
  question: "What does <a file> cost?",
  at: "2026-11-24T03:00:00Z",
  commit: "abc1234",
  machine: { cpu: "a processor", cores: 2, memoryGib: 24, os: "Linux 6", node: "v26.0.0" },
  settings: { rounds: 3, seconds: 2 },
  variants: [
    {
      name: "memory",
      figures: [figure("orders/s", "orders/s", [17_000, 18_000, 16_500])],
      latencyMs: [
        [50, 3],
        [99, 12],
        [100, 0],
      ],
      overTime: [0.5, 1].map((s) => ({ s, ordersPerSecond: 17_000, rssMib: 150, cpu: { main: 0.8, steps: 0.1 } })),
    },
    { name: "file", figures: [figure("orders/s", "orders/s", [14_000, 13_000, 15_000])] },
    { name: "a `signal`", figures: [figure("p50", "ms", [0.03, 0.04, 0.05])] },
  ],
  targets: [
    { what: "file over memory", value: 0.82, atLeast: 0.5, unit: "", met: true },
    { what: "p50 of an answer", value: 6, atMost: 5, unit: " ms", met: false },
  ],
};

beforeAll(() => {
  mkdirSync(results);
  writeResult(results, RESULT);
  writeReport(results, file);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe("the report", () => {
  const text = () => readFileSync(file, "utf8");

  test("is one file that asks nothing of a network or a script", () => {
    expect(text()).not.toMatch(/<script|<link|@import|url\(|\bsrc=|http/);
  });

  test("tells every target, the missed one as missed, and every figure of each variant that has it", () => {
    expect(text()).toContain("1 experiment, 2 targets, <strong>1 missed</strong>");
    expect(text()).toContain('<li class="met"><b>met</b> file over memory: 0.82 <small>(at least 0.5)</small>');
    expect(text()).toContain('<li class="missed"><b>missed</b> p50 of an answer: 6 ms <small>(at most 5 ms)</small>');
    for (const shown of ["17\u202f000", "14\u202f000", "0.04"]) expect(text()).toContain(`<b>${shown}</b>`);
    expect(text().match(/<div class="bar">/g)).toHaveLength(3);
    expect(text().match(/<circle/g)).toHaveLength(9);
  });

  test("says on which machine, when and how it was measured, and escapes what it was given", () => {
    expect(text()).toContain("rounds 3, seconds 2. 2026-11-24, commit abc1234;\n2 cores (a processor), 24 GiB, Linux 6, Node v26.0.0");
    expect(text()).toContain("What does &#60;a file&#62; cost?");
    expect(text()).toContain("<span>a <code>signal</code></span>");
    expect(text()).toContain('aria-label="a signal: 0.04 ms"');
  });

  test("draws what only some variants have: latency, orders, memory and a line for each thread", () => {
    const titles = [...text().matchAll(/<figcaption>([^<]*?) ?<(?:small|\/)/g)].map(([, title]) => title);
    const threads = "Processor by thread: memory";
    expect(titles).toEqual(["orders/s", "p50", "How long answers took", "Orders over time", "Memory over time", threads]);
    expect(text().match(/<path class="line/g)).toHaveLength(5);
    expect(text()).not.toMatch(/NaN|Infinity|undefined/);
  });
});

describe("tables in the documents", () => {
  const block = (inside: string) => `before\n<!-- results: journal -->\n${inside}<!-- end of results -->\nafter 17 000\n`;

  test("are those of the results, and nothing else of the page changes", () => {
    const page = withResults(block("| old |\n"), results);
    expect(page).toMatch(/^before\n<!-- results: journal -->\n[\s\S]*\n<!-- end of results -->\nafter 17 000\n$/);
    expect(page).not.toContain("old");
    expect(page).toContain("| memory | 17\u202f000 (16\u202f500 to 18\u202f000) |\n| file | 14\u202f000 (13\u202f000 to 15\u202f000) |");
    expect(page).toContain("|  | p50, ms |");
    expect(page).toContain("* file over memory: 0.82 (at least 0.5)\n* **missed**: p50 of an answer: 6 ms (at most 5 ms)");
    expect(withResults(page, results)).toBe(page);
  });

  test("have the figures that they name, and nothing of the others", () => {
    const chosen = (figure: string) => block("").replace("journal", `journal | ${figure}`);
    const page = withResults(chosen("orders/s"), results);
    expect(page).toContain(
      "\n| memory | 17\u202f000 (16\u202f500 to 18\u202f000) |\n| file | 14\u202f000 (13\u202f000 to 15\u202f000) |\n<!-- end",
    );
    expect(page).not.toMatch(/p50|at least/);
    expect(withResults(page, results)).toBe(page);
    expect(() => withResults(chosen("orders/h"), results)).toThrow('no figure "orders/h" in the results of journal');
  });

  test("are written in every page, or in none where one names results that are not there", () => {
    const write = (name: string, text: string) => writeFileSync(join(directory, name), text);
    const read = (name: string) => readFileSync(join(directory, name), "utf8");
    mkdirSync(join(directory, "docs"));
    const missing = block("").replace("journal", "nothing");
    write("README.md", block(""));
    write("docs/page.md", missing);
    expect(() => updateDocuments(results, directory)).toThrow("no results of nothing");
    expect([read("README.md"), read("docs/page.md")]).toEqual([block(""), missing]);
    write("docs/page.md", block("old\n"));
    updateDocuments(results, directory);
    expect(read("docs/page.md")).toBe(withResults(block(""), results));
    expect(read("README.md")).toBe(read("docs/page.md"));
  });
});
