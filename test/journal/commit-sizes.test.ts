import { expect, test } from "vitest";
import { CommitSizes } from "../../src/journal/group-commit.ts";

test("commit sizes count in steps of powers of two", () => {
  const sizes = new CommitSizes();
  for (const requests of [1, 2, 3, 4, 5, 8, 9, 1_024]) sizes.record(requests);
  expect(sizes.steps().filter(({ commits }) => commits > 0)).toEqual([
    { upTo: 1, commits: 1 },
    { upTo: 2, commits: 1 },
    { upTo: 4, commits: 2 },
    { upTo: 8, commits: 2 },
    { upTo: 16, commits: 1 },
    { upTo: 1_024, commits: 1 },
  ]);
});
