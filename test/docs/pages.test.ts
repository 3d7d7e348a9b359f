import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { describe, expect, test } from "vitest";
import { COMPENSATION_STATES, TRANSITIONS } from "../../src/orders/compensation-state.ts";
import { ARROWS } from "../architecture/arrows.ts";
import { codesOf, section, tablesOf } from "../support/markdown.ts";
import { CODE_BLOCKS, EVERYTHING, PAGES, PROJECT, prose, SCRIPTS } from "./pages.ts";

const PAGE = PAGES.get("docs/architecture.md") ?? "";
const rowsUnder = (heading: RegExp) => tablesOf(section(PAGE, heading))[0]?.rows ?? [];
const FOLDERS = rowsUnder(/^## The folders/);
const STEPS = rowsUnder(/^## The way of an order/);

test("every folder of src is on the map", () => {
  const folders = readdirSync(join(PROJECT, "src"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const mapped = FOLDERS.flatMap(([names = ""]) => codesOf(names));
  expect(folders.map(({ name }) => `src/${name}/`).filter((folder) => !mapped.includes(folder))).toEqual([]);
});

test("the imports on the map are those that the architecture test allows", () => {
  const rooms = Object.entries(ARROWS).filter(([room]) => !room.endsWith(".ts"));
  const mapped = FOLDERS.flatMap(([names = "", , , imports = ""]) => {
    const [, room = ""] = /^`src\/(\w+)\/`$/.exec(names) ?? [];
    return room in ARROWS
      ? [
          [
            room,
            codesOf(imports)
              .map((code) => code.replace("src/", ""))
              .toSorted(),
          ] as const,
        ]
      : [];
  });
  expect(rooms.length).toBeGreaterThan(10);
  expect(Object.fromEntries(mapped)).toEqual(Object.fromEntries(rooms.map(([room, targets]) => [room, targets.toSorted()])));
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

test("the picture of a compensation's states is the code's own table, and ends where nothing leaves a state", () => {
  const picture = /### Compensation\n.*?```mermaid\nstateDiagram-v2\n(.*?)```/s.exec(PAGE)?.[1] ?? "";
  const drawn = [...picture.matchAll(/^ {2}(\w+) --> (\w+): (\w+)$/gm)].map(([, from, to, why]) => `${from} -> ${to}: ${why}`);
  const coded = Object.entries(TRANSITIONS).flatMap(([why, { from, to }]) => from.map((state) => `${state} -> ${to}: ${why}`));
  expect(coded.length).toBeGreaterThan(0);
  expect(drawn.toSorted()).toEqual(coded.toSorted());
  const left = new Set<string>(Object.values(TRANSITIONS).flatMap(({ from }) => from));
  const ends = [...picture.matchAll(/^ {2}(\w+) --> \[\*\]$/gm)].map(([, state]) => state);
  expect(ends.toSorted()).toEqual(COMPENSATION_STATES.filter((state) => !left.has(state)).toSorted());
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

/** Languages of blocks of code; commands are `sh`, or `console` where they stand with what they print. */
const LANGUAGES = ["sh", "console", "json", "http", "mermaid", "ts", "diff", "yaml", "sql", "ini"];
/** Paths that are examples of what somebody may have. */
const EXAMPLES = /NAME|\/loyalty\.ts$|^data\//;

/** As GitHub makes them of headings. */
function anchorsOf(markdown: string): string[] {
  return [...prose(markdown).matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** Targets of links and images that are no URLs. */
function linksOf(markdown: string): string[] {
  return [...prose(markdown).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target).filter((target) => !/^[a-z]+:/.test(target));
}

/** Names of files and folders between backquotes. */
function pathsOf(markdown: string): string[] {
  const inProject = /^(?:(?:src|workers|test|load|deploy|docs)\/[\w./*-]*|[\w.-]+(?:\/[\w.-]+)*\.(?:ts|js|mjs|go|ya?ml|json|md|sh))$/;
  return codesOf(markdown).filter((code) => inProject.test(code) && !EXAMPLES.test(code));
}

describe.each([...PAGES])("%s", (page, text) => {
  test("links and images lead somewhere", () => {
    const dead = linksOf(text).filter((link) => {
      const [file = "", anchor] = link.split("#");
      const target = file === "" ? page : posix.join(posix.dirname(page), file);
      if (!existsSync(posix.join(PROJECT, target))) return true;
      return anchor !== undefined && !anchorsOf(PAGES.get(target) ?? "").includes(anchor);
    });
    expect(dead).toEqual([]);
  });

  test("files and folders that it names exist", () => {
    expect(pathsOf(text).filter((path) => !existsSync(posix.join(PROJECT, path)))).toEqual([]);
  });

  test("every row of a table has as many cells as its head", () => {
    const uneven = tablesOf(text).flatMap(({ header, rows }) => rows.filter((row) => row.length !== header.length));
    expect(uneven).toEqual([]);
  });

  test("scripts that it names are in package.json", () => {
    const named = [...text.matchAll(/npm (?:run (?:-s )?)?([a-z]+(?:[:-][a-z]+)*)/g)].map(([, name = ""]) => name);
    expect(named.filter((name) => SCRIPTS[name] === undefined && !["ci", "will", "install", "pack"].includes(name))).toEqual([]);
  });
});

test("every picture is shown or linked by a page", () => {
  const images = readdirSync(join(PROJECT, "docs/images"));
  expect(images.length).toBeGreaterThan(2);
  expect(images.filter((name) => !EVERYTHING.includes(`images/${name})`))).toEqual([]);
});

test("every page can be reached from the README in two clicks", () => {
  const reached = new Set(["README.md"]);
  for (let click = 0; click < 2; click++) {
    for (const page of [...reached]) {
      for (const link of linksOf(PAGES.get(page) ?? "")) {
        const target = posix.join(posix.dirname(page), link.split("#")[0] || posix.basename(page));
        if (PAGES.has(target)) reached.add(target);
      }
    }
  }
  expect([...PAGES.keys()].filter((page) => !reached.has(page))).toEqual([]);
});

test("every script of package.json is on some page", () => {
  const isNamed = (name: string) => new RegExp(`\`npm (run )?${name}[ \`]`).test(EVERYTHING);
  expect(Object.keys(SCRIPTS).filter((name) => !isNamed(name))).toEqual([]);
});

test("every block of code says what it is, so that commands among them are known", () => {
  expect(CODE_BLOCKS.length).toBeGreaterThan(10);
  expect(CODE_BLOCKS.filter(({ language }) => !LANGUAGES.includes(language)).map(({ page, text }) => `${page}: ${text}`)).toEqual([]);
});

test("CI runs what the README says", () => {
  const ci = readFileSync(posix.join(PROJECT, ".ci/run"), "utf8");
  expect(PAGES.get("README.md")).toContain("```sh\nnpm ci && npm test\n```");
  expect(ci).toMatch(/^npm ci /m);
  expect(ci).toMatch(/^npm test /m);
});

test("the checks can fail", () => {
  expect(anchorsOf("# What is stuck, and what to do\n## The `x` of it")).toEqual(["what-is-stuck-and-what-to-do", "the-x-of-it"]);
  expect(linksOf("[a](b.md#c) ![d](e.png) [f](https://example.com)")).toEqual(["b.md#c", "e.png"]);
  expect(pathsOf("`src/a.ts` `layout.ts` `test/` `POST /order` `data/orders.db` `workers/steps/NAME.ts`")).toEqual([
    "src/a.ts",
    "layout.ts",
    "test/",
  ]);
});
