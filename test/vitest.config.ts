import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    // Each file in a process of its own, so that its leak counts are its own. Two at a time: most of them wait most of the
    // time, for children to start and for deadlines to pass.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
