import { expect, test } from "vitest";
import { changedFiles } from "../load/tricks/project-copy.ts";
import { TRICKS } from "../load/tricks/tricks.ts";

// The bench itself runs for minutes; a change that fits the project no more is to be seen at once.
test.each(TRICKS.filter(({ isControl }) => !isControl))("$name: its ordinary way fits the project", ({ change }) => {
  expect(changedFiles(change).size).toBeGreaterThan(0);
});

test("a change that does not fit is found", () => {
  expect(() => changedFiles({ edits: [{ file: "package.json", from: "no such text", to: "" }] })).toThrow("0 times");
  expect(() => changedFiles({ replaced: { "src/no-such-file.ts": "package.json" } })).toThrow("ENOENT");
});
