import { defineConfig } from "vitest/config";
import common from "../vitest.config.ts";

// The slowest waits a minute for the service to delete something, and then some more.
const LONGEST_MS = 300_000;

const { projects: _projects, ...shared } = common.test ?? {};

/** The commands of the pages that `npm test` has no time for. */
export default defineConfig({ test: { ...shared, include: ["test/docs/slow.ts"], testTimeout: LONGEST_MS } });
