import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { codesOf, section, tablesOf } from "../support/markdown.ts";
import { CODE_BLOCKS, PAGES, PROJECT } from "./pages.ts";

const PAGE = PAGES.get("docs/architecture.md") ?? "";
const rowsUnder = (heading: RegExp) => tablesOf(section(PAGE, heading))[0]?.rows ?? [];
const FOLDERS = rowsUnder(/^## The folders/);
const STEPS = rowsUnder(/^## The way of an order/);

/** The arrows that test/architecture checks: names of folders and of files in src, by folder. */
function checkedArrows(): Map<string, string[]> {
  const source = readFileSync(join(PROJECT, "test/architecture/arrows.ts"), "utf8");
  const [, block = ""] = /^export const ARROWS.*= \{\n([\s\S]*?)^\};/m.exec(source) ?? [];
  return new Map(
    [...block.matchAll(/^ {2}(\w+): \[([^\]]*)\],$/gm)].map(([, folder = "", list = ""]) => [
      folder,
      [...list.matchAll(/"([^"]+)"/g)].map(([, name = ""]) => name),
    ]),
  );
}

test("every folder of src is on the map", () => {
  const folders = readdirSync(join(PROJECT, "src"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const mapped = FOLDERS.flatMap(([names = ""]) => codesOf(names));
  expect(folders.map(({ name }) => `src/${name}/`).filter((folder) => !mapped.includes(folder))).toEqual([]);
});

test("the imports on the map are those that the architecture test allows", () => {
  const arrows = checkedArrows();
  expect(arrows.size).toBeGreaterThan(10);
  const mapped = new Map(
    FOLDERS.flatMap(([names = "", , , imports = ""]): [string, string[]][] => {
      const [, folder] = /^`src\/(\w+)\/`$/.exec(names) ?? [];
      return folder !== undefined && arrows.has(folder)
        ? [
            [
              folder,
              codesOf(imports)
                .map((code) => code.replace("src/", ""))
                .sort(),
            ],
          ]
        : [];
    }),
  );
  expect(Object.fromEntries(mapped)).toEqual(Object.fromEntries([...arrows].map(([folder, names]) => [folder, names.sort()])));
});

test("the way of an order names threads by their paths, and steps that are there", () => {
  const threadOf = (path: string) =>
    /^(workers\/journal|src\/journal\/rules)\//.test(path) ? "journal" : /^(src\/threads\/worker|workers)\//.test(path) ? "step" : "main";
  // It runs on both sides.
  const isOfBoth = (path: string) => path === "src/resilience/post.ts";
  const wrong = STEPS.filter(([, , files = "", threads = ""]) => {
    const expected = new Set(
      codesOf(files)
        .filter((path) => !isOfBoth(path))
        .map(threadOf),
    );
    return [...expected].sort().join() !== threads.split(", ").sort().join();
  });
  expect(wrong).toEqual([]);
  expect(STEPS.map(([number]) => Number(number))).toEqual(STEPS.map((_, index) => index + 1));
  const next = STEPS.flatMap(([, , , , text = ""]) => [...text.matchAll(/\d+/g)].map(([number]) => Number(number)));
  expect(next.length).toBeGreaterThan(15);
  expect(next.filter((number) => number > STEPS.length)).toEqual([]);
});

test("every rule of identity is in the function that is named for it", () => {
  const rules = rowsUnder(/^## Where each rule is/);
  expect(rules.length).toBeGreaterThanOrEqual(18);
  const lost = rules.filter(([, file = "", name = ""]) => {
    const [path = "", called = ""] = [...codesOf(file), ...codesOf(name)];
    const source = readFileSync(join(PROJECT, path), "utf8");
    // A method of a class, or a function: its head ends the line, or its parameters go on below.
    return !new RegExp(`^(export |  )?(async |function )*${called}\\([^;]*$`, "m").test(source);
  });
  expect(lost).toEqual([]);
});

/** What is wrong with a diagram, of the little of Mermaid's language that these pages use. */
function faultsOf(diagram: string): string[] {
  const [kind = "", ...lines] = diagram.trimEnd().split("\n");
  const participants = new Set([...diagram.matchAll(/^ {2}participant (\w+) as /gm)].map(([, name = ""]) => name));
  const isFine = (line: string): boolean => {
    // A semicolon ends a statement, `#` begins a character, and the word `end` a block.
    if (/[;#]|\bend\b/i.test(line)) return false;
    if (kind === "stateDiagram-v2") return /^ {2}(\w+|\[\*\]) --> (\w+|\[\*\])(: [^:]+)?$/.test(line);
    const [, from = "", to = ""] = /^ {2}(\w+)--?>>(\w+): \S.*$/.exec(line) ?? [];
    return (participants.has(from) && participants.has(to)) || /^ {2}(autonumber|participant \w+ as \S.*)$/.test(line);
  };
  if (kind !== "sequenceDiagram" && kind !== "stateDiagram-v2") return [kind];
  return lines.filter((line) => !isFine(line));
}

describe("the diagrams", () => {
  const diagrams = CODE_BLOCKS.filter(({ language }) => language === "mermaid").map(({ text }) => text);

  test("keep to what Mermaid surely reads", () => {
    expect(diagrams.length).toBeGreaterThanOrEqual(4);
    expect(diagrams.flatMap(faultsOf)).toEqual([]);
  });

  test("of a protocol have as many arrows as numbered steps below them", () => {
    for (const heading of [/^### Cancel/, /^### Durability/]) {
      const text = section(PAGE, heading);
      expect([heading, text.match(/^\d+\. /gm)?.length]).toEqual([heading, text.match(/--?>>/g)?.length]);
    }
  });

  test.each([
    "graph TD\n  A --> B",
    "sequenceDiagram\n  participant A as a\n  A->>B: hello",
    "sequenceDiagram\n  participant A as a\n  A->>A: one; two",
    "sequenceDiagram\n  participant A as a\n  A->>A: the end",
    "sequenceDiagram\n  participant A as a\n  A->>A:",
    "stateDiagram-v2\n  a -> b",
  ])("with a fault are found: %j", (diagram) => {
    expect(faultsOf(diagram)).toHaveLength(1);
  });
});
