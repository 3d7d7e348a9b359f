import { defineConfig } from "vitest/config";
import common from "../vitest.config.ts";

// The slowest waits a minute for the service to delete something, and then some more.
const LONGEST_MS = 300_000;

/** The commands of the pages that `npm test` has no time for. */
export default defineConfig({ test: { ...common.test, include: ["test/docs/slow.ts"], testTimeout: LONGEST_MS } });
