import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { withResults } from "../../load/lab/documents.ts";
import { RESULTS, type Result, readResult } from "../../load/lab/results.ts";
import { PAGES } from "./pages.ts";

const RESULT_LIST = readdirSync(RESULTS)
  .filter((name) => name.endsWith(".json"))
  .map((name) => readResult(RESULTS, name.slice(0, -".json".length)) as Result);
// What is measured and told with its unit. Milliseconds and bytes of settings are told in the same words, so these have no list.
const FIGURE = /(?<![\w.-])(\d[\d \u202f]*(?:\.\d+)?)(?: to (\d[\d \u202f]*(?:\.\d+)?))? (orders\/s|times|us)\b/g;
const BLOCK = /<!-- results: [\s\S]*?<!-- end of results -->/g;

interface Figure {
  readonly text: string;
  readonly unit: string;
}

/** The figures of a page outside of the tables that are made from results. */
function figuresOf(page: string): Figure[] {
  return [...page.replace(BLOCK, "").matchAll(FIGURE)].flatMap(([, from = "", to, unit = ""]) =>
    [from, ...(to === undefined ? [] : [to])].map((text) => ({ text: text.replace(/[ \u202f]/g, ""), unit })),
  );
}

/** Every number that a results file has with this unit; ratios have none. */
function measured(unit: string, results: readonly Result[]): number[] {
  const own = unit === "times" ? ["", "times"] : [unit];
  return results.flatMap(({ variants, targets }) => [
    ...variants.flatMap(({ figures }) =>
      figures.filter((figure) => own.includes(figure.unit)).flatMap(({ median, min, max }) => [median, min, max]),
    ),
    ...targets.filter((target) => own.includes(target.unit.trim())).map(({ value }) => value),
  ]);
}

/** Whether a text is that number, rounded to as many digits as the text has; to two of them at least. */
function tells(text: string, value: number): boolean {
  const decimals = text.split(".")[1]?.length ?? 0;
  const zeros = decimals > 0 ? 0 : Math.min(/0*$/.exec(text)?.[0].length ?? 0, Math.max(0, text.length - 2));
  const unit = 10 ** (zeros - decimals);
  return Math.abs(Number(text) - value) <= unit / 2 + Number.EPSILON;
}

const isFound = ({ text, unit }: Figure, results: readonly Result[]) => measured(unit, results).some((value) => tells(text, value));

describe.each([...PAGES])("%s", (_name, page) => {
  test("its tables are those of the results", () => {
    expect(withResults(page, RESULTS)).toBe(page);
  });

  test("each of its figures is in a file of results", () => {
    expect(figuresOf(page).filter((figure) => !isFound(figure, RESULT_LIST))).toEqual([]);
  });
});

test("a figure that is in no file is found out, whatever its digits", () => {
  const results = [
    { variants: [{ name: "", figures: [{ name: "", unit: "us", median: 1234, min: 0.0456, max: 99, rounds: [] }] }], targets: [] },
  ];
  const found = (page: string) => figuresOf(page).map((figure) => isFound(figure, results as unknown as Result[]));
  expect(found("1 234 us, 1 230 us and 1 200 us; 0.046 to 99 us")).toEqual([true, true, true, true, true]);
  expect(found("1 235 us, 1 240 us and 1 300 us; 0.047 to 101 us")).toEqual([false, false, false, false, false]);
  expect(found("1 234 times, 99 orders/s")).toEqual([false, false]);
});
