import { describe, expect, test } from "vitest";
import { withResults } from "../../load/lab/documents.ts";
import { type Figure, RESULTS, readResult } from "../../load/lab/results.ts";
import { CAPACITY_MUTANTS, MUTANTS } from "../schedules/mutants.ts";
import { SCENARIOS } from "../schedules/scenarios.ts";
import { PAGES } from "./pages.ts";

const BLOCK = /<!-- results: [\s\S]*?<!-- end of results -->/g;
const CODE = /^ *```[\s\S]*?^ *```$|`[^`]*`/gm;
// What is measured is told in these units. Longer times and bare counts are settings, bounds and sizes of tests far more often.
const FIGURE =
  /(?<![\w.-])(\d[\d \u202f]*(?:\.\d+)?)(?: to \d[\d \u202f]*(?:\.\d+)?)? (?:\w+ )?(orders\/s|per second|times|us|bytes|%|[kKMGT]B|[KMG]iB|(?<=\.\d+ )ms)(?!\w)/g;

/** The figures in these units that nobody measured, and what each of them is. Whatever is measured stands in tables made from results. */
const SET: Readonly<Record<string, string>> = {
  "16 KiB": "the limit of a body, and of headers",
  "160 MiB": "what a start asks for",
  "16 MiB": "what it asks for per thread",
  "512 MiB": "in which test/memory.test.ts computes with the defaults",
  "64 MB": "the limit of the journal's log",
  "5 MB": "the limit of the rate limit's buckets",
  "4 MiB": "the limit of log lines that wait",
  "3 %": "what code that is there for its cost alone must save",
  "15 %": "what the gate allows",
  "8 GB": "advice",
  ...Object.fromEntries(
    ["0.07 ms", "5 kB", "1 kB", "5 000 per second", "14 000 per second", "1 000 per second", "10 000 per second", "50 000 per second"]
      .concat("50 MB", "250 MB", "9 GB", "90 GB", "430 GB", "3 TB")
      .map((figure) => [figure, "how many machines: what to reckon with, rounded up, and what comes out"]),
  ),
};

/** Where failing orders of this project stand beside those of Piscina's `signal`: a result, and the variants of both. */
const BESIDE_PISCINA = [
  ["storm", "this pipeline", "Piscina's signal"],
  ["contrast", "siblings wait: this library", "siblings wait: Piscina"],
  ["contrast", "a sibling computes: this library", "a sibling computes: Piscina"],
] as const;

/** How many times as many orders per second this project answers, at least and at most, beside the best of Piscina's variants. */
const TIMES_PISCINA = BESIDE_PISCINA.flatMap(([name, own, others]) => {
  const rates = (of: string) =>
    readResult(RESULTS, name)
      ?.variants.filter((variant) => variant.name.startsWith(of))
      .map(({ figures }) => figures.find((figure) => figure.name === "orders/s") as Figure) ?? [];
  const best = rates(others).toSorted((a, b) => b.median - a.median)[0] as Figure;
  return rates(own).flatMap(({ min, max }) => [min / best.max, max / best.min]);
});
const FROM = Math.floor(Math.min(...TIMES_PISCINA));
const TO = Math.floor(Math.max(...TIMES_PISCINA));

/** The figures of a page outside of its code and of the tables that are made from results. */
function figuresOf(page: string): string[] {
  const prose = page.replace(BLOCK, "").replace(CODE, "").replaceAll(/\s+/g, " ");
  return [...prose.matchAll(FIGURE)].map(([, figure, unit]) => `${figure} ${unit}`);
}

describe.each([...PAGES])("%s", (_name, page) => {
  test("its tables are those of the results", () => {
    expect(withResults(page, RESULTS)).toBe(page);
  });

  test("each of its figures is in one of these tables, or is none that somebody measured", () => {
    expect(figuresOf(page).filter((figure) => !(figure in SET) && figure !== `${FROM} times`)).toEqual([]);
  });
});

test("the README's range beside Piscina is that of the results, with their date", () => {
  expect(TIMES_PISCINA).toHaveLength(2 * BESIDE_PISCINA.length);
  const dates = new Set(BESIDE_PISCINA.map(([name]) => readResult(RESULTS, name)?.at.slice(0, 10)));
  const said = (PAGES.get("README.md") ?? "").replaceAll(/\s+/g, " ");
  expect(said).toContain(
    `${FROM} to ${TO} times as many per second as Piscina's own \`signal\`, by how many run at one time (${[...dates].join(" and ")}, `,
  );
});

test("what is said not to be measured stands in a page, and a figure of any unit is seen", () => {
  const told = new Set([...PAGES].flatMap(([, page]) => figuresOf(page)));
  expect(Object.keys(SET).filter((figure) => !told.has(figure))).toEqual([]);
  const all = "1 234 us, 0.5 ms, 3 to 4.5\nMiB, 17.4 KB, 99 orders/s, 105 tasks per second, 2.5 times and 14 %";
  const seen = ["1 234 us", "0.5 ms", "3 MiB", "17.4 KB", "99 orders/s", "105 per second", "2.5 times", "14 %"];
  expect(figuresOf(`${all}; \`7 us\`, 250 ms, <!-- results: x -->8 us<!-- end of results -->`)).toEqual(seen);
});

test("as many scenarios and faults are told of as test/schedules has", () => {
  const ideas = PAGES.get("docs/how-it-works.md") ?? "";
  const told = [/ (\d+)\s+scenarios/, /lists (\d+) faults/, /with (\d+) faults/].map((count) => Number(count.exec(ideas)?.[1]));
  expect(told).toEqual([SCENARIOS.length, MUTANTS.length, CAPACITY_MUTANTS.length]);
  expect(PAGES.get("docs/threads-against-goroutines.md")).toContain(`each of ${MUTANTS.length} faults`);
});
