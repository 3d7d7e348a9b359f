import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

// Most of what takes more than 15 s. In a fresh clone nothing is known yet of how long a file takes.
const LONG = /test\/(admin\/live|deploy|postgres|restore|schedules|steps|ledger|cluster|money)\/|(fuzz|failing-disk|property)\.test/;

/** Long files first: one that began last would run alone while the other core has nothing to do. */
class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification) => LONG.test(moduleId);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

// As the service has it: threads that need not compile start in a third of the time, and tests start thousands. Set here, and not as `env` of
// the tests: so the process of each file, which starts before it is told of those, loads Vitest from there as well.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL("../node_modules/.cache/order-pipeline", import.meta.url));

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    tags: [
      {
        name: "three-steps",
        description: "about payment, vendor and courier by name or number: a further step makes it fail or say too little",
      },
    ],
    sequence: { sequencer: LongFirst },
    globalSetup: fileURLToPath(new URL("support/postgres/global-setup.ts", import.meta.url)),
    pool: "forks",
    // Each file in a process of its own, so that its leak counts are its own. Four at a time: most of them wait most of the
    // time, for children to start and for deadlines to pass. With three, two cores were idle for a fifth of it.
    maxWorkers: 4,
    // Only a test that is broken should ever meet these, on one busy core too; they are longer than what tests wait for
    // themselves, whose messages say more.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
