import { expect, test } from "vitest";
import { changedFiles } from "../load/tricks/project-copy.ts";
import { TRICKS } from "../load/tricks/tricks.ts";

const PROJECT = new URL("..", import.meta.url);

// The bench itself runs for minutes; a change that fits the project no more is to be seen at once.
test.each(TRICKS.filter(({ isControl }) => !isControl))("$name: its ordinary way fits the project", ({ change }) => {
  expect(changedFiles(change).size).toBeGreaterThan(0);
});

test.each(TRICKS.flatMap(({ change: { replaced = {} } }) => Object.entries(replaced)))(
  "what takes the place of %s exports the same",
  async (file, by) => {
    const [own, plain] = await Promise.all([file, by].map(async (path) => Object.keys(await import(new URL(path, PROJECT).href)).sort()));
    expect(own?.length).toBeGreaterThan(0);
    expect(plain).toEqual(own);
  },
);

test("a change that does not fit is found", () => {
  expect(() => changedFiles({ edits: [{ file: "package.json", from: "no such text", to: "" }] })).toThrow("0 times");
  expect(() => changedFiles({ replaced: { "src/no-such-file.ts": "package.json" } })).toThrow("ENOENT");
});
