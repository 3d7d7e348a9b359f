import { renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { JournalFixture } from "./journal-fixture.ts";

const onWindows = process.platform === "win32";

const ACCIDENTS: Readonly<Record<string, (file: string) => void>> = {
  "is removed": (file) => rmSync(file),
  "is moved away": (file) => renameSync(file, `${file}.old`),
  "is replaced": (file) => {
    rmSync(file);
    writeFileSync(file, "");
  },
};
const cases = ["", "-wal", "-shm", ".lock"].flatMap((suffix) => Object.keys(ACCIDENTS).map((accident) => ({ suffix, accident })));

// Windows does not let anybody remove a file that is open.
test.skipIf(onWindows).each(cases)(
  "orders.db$suffix $accident under a running journal: that is fatal, and nothing is answered any more",
  async ({ suffix, accident }) => {
    const fatal: string[] = [];
    await using at = await JournalFixture.open("file", { onFatal: (reason) => fatal.push(reason) });
    await at.run("before");
    ACCIDENTS[accident]?.(`${at.file}${suffix}`);
    const answered: unknown[] = [];
    void at.accept("after").then(answered.push.bind(answered), answered.push.bind(answered));
    await eventually("word of it", () => fatal.length > 0);
    expect(fatal).toEqual([expect.stringMatching(new RegExp(`orders\\.db${suffix} was removed or replaced$`))]);
    expect(answered).toEqual([]);
  },
);

test.skipIf(onWindows)("the log is removed: what was answered is brought into the database", async () => {
  const fatal: string[] = [];
  await using at = await JournalFixture.open("file", { onFatal: (reason) => fatal.push(reason) });
  for (let n = 0; n < 20; n++) await at.run(`order ${n}`);
  rmSync(`${at.file}-wal`);
  void at.accept("after");
  await eventually("word of it", () => fatal.length > 0);
  await at.restart({});
  for (let n = 0; n < 20; n++) expect(await at.journal.find(`order ${n}`)).toMatchObject({ attemptsTotal: 1 });
});

test.skipIf(onWindows)(
  "an error that the writer does not expect, such as a directory that leads to itself, is fatal with its reason",
  async () => {
    const fatal: string[] = [];
    await using at = await JournalFixture.open("file", { onFatal: (reason) => fatal.push(reason) });
    const moved = `${at.directory}.old`;
    renameSync(at.directory, moved);
    try {
      symlinkSync(at.directory, at.directory);
      const answered: unknown[] = [];
      void at.accept("after").then(answered.push.bind(answered), answered.push.bind(answered));
      await eventually("word of it", () => fatal.length > 0);
      expect(fatal).toEqual([expect.stringMatching(/^the journal's thread ended \(ELOOP: .+\)$/)]);
      expect(answered).toEqual([]);
    } finally {
      rmSync(moved, { recursive: true });
    }
  },
);
