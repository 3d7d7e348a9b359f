import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Journal } from "../../src/journal/journal.ts";
import { JournalFixture } from "../journal/journal-fixture.ts";
import { WITHOUT_FAILING_DISK } from "../support/failing-disk.ts";
import { buildDiskSteps, diskStepsOf } from "./disk-steps.ts";
import { addOpenWork, backUp, expectNothingGoesOn, heldIn } from "./open-work.ts";

const OPEN = join(import.meta.dirname, "open-child.ts");
const JOURNAL_ID = 0x4f52444a;
const HELD = 7;
// Their rows need pages that a backup does not have.
const RUNNING = 100;

let directory: string;
let library: string;
let backup: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "killed-open-"));
  if (WITHOUT_FAILING_DISK !== undefined) return;
  library = buildDiskSteps(directory);
  await using at = await JournalFixture.open("file", { events: true });
  await addOpenWork(at);
  backup = join(directory, "backup.db");
  copyFileSync(await backUp(at), backup);
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A directory with a backup in the place of the journal. */
function place(name: string): { readonly at: string; readonly file: string } {
  const at = join(directory, name);
  mkdirSync(at);
  const file = join(at, "orders.db");
  copyFileSync(backup, file);
  return { at, file };
}

/** What SQLite finds in the files as a kill has left them: a journal has nothing that would go on by itself. Looks at copies. */
function lookAt(at: string, file: string): "journal" | "backup" {
  const looked = `${at}-looked`;
  mkdirSync(looked, { recursive: true });
  for (const suffix of ["", "-wal", "-journal"]) {
    const copy = join(looked, `copy.db${suffix}`);
    rmSync(copy, { force: true });
    if (existsSync(`${file}${suffix}`)) copyFileSync(`${file}${suffix}`, copy);
  }
  const db = new DatabaseSync(join(looked, "copy.db"));
  const read = (sql: string) => db.prepare(sql).all();
  try {
    expect(read("PRAGMA integrity_check")).toEqual([{ integrity_check: "ok" }]);
    if (read("PRAGMA application_id")[0]?.application_id !== JOURNAL_ID) return "backup";
    expect(read("SELECT * FROM open_attempts")).toEqual([]);
    expect(read("SELECT state FROM compensations WHERE ended_ms IS NULL")).toEqual(Array(HELD).fill({ state: "held" }));
    expect(read("SELECT count(*) AS n FROM restores")).toEqual([{ n: 1 }]);
    return "journal";
  } finally {
    db.close();
  }
}

/** The numbers of all steps but those in the middle of a run of the same. */
function telling(steps: readonly string[]): number[] {
  return steps.flatMap((step, index) => (step === steps[index - 1] && step === steps[index + 1] ? [] : [index + 1]));
}

describe.skipIf(WITHOUT_FAILING_DISK !== undefined)("a restored backup whose first start is killed", () => {
  test("at any of the steps by which it changes a file: it is a backup still or a journal with all of it held, and the next start goes on", {
    timeout: 300_000,
  }, async () => {
    const whole = place("whole");
    const { steps, stdout, signal } = diskStepsOf(library, whole.at, [OPEN, whole.file]);
    expect([stdout, signal]).toEqual(["open\n", null]);
    expect(steps.length).toBeGreaterThan(20);
    const left = new Map<string, number>();
    for (const killAt of telling(steps)) {
      const { at, file } = place(`killed-${killAt}`);
      const killed = diskStepsOf(library, at, [OPEN, file], killAt);
      expect([killAt, killed.signal]).toEqual([killAt, "SIGKILL"]);
      const is = lookAt(at, file);
      left.set(is, (left.get(is) ?? 0) + 1);

      const journal = await Journal.open(file, { events: true });
      expect(await heldIn(journal)).toHaveLength(HELD);
      await expectNothingGoesOn(journal);
      await journal.close();
      expect(lookAt(at, file)).toBe("journal");
      rmSync(at, { recursive: true });
    }
    expect(left.get("backup")).toBeGreaterThan(5);
    expect(left.get("journal")).toBeGreaterThan(5);
  });
});

test("a restored backup that the disk has no room for stays a backup, whatever page it ends at", async () => {
  await using at = await JournalFixture.open("file", { events: true });
  await addOpenWork(at);
  const running = Array.from({ length: RUNNING }, (_, n) => at.accept(`running-${n}`));
  await Promise.all(running);
  const copy = await backUp(at);
  const pages = statSync(copy).size / 4_096;
  const tried = join(at.directory, "tried");
  mkdirSync(tried);
  const file = join(tried, "orders.db");
  copyFileSync(copy, file);
  const isRefusedWith = async (more: number) => {
    const opened = await Journal.open(file, { maxPages: pages + more }).catch((error: Error) => error);
    if (!(opened instanceof Error)) await opened.close();
    else expect([opened.message, lookAt(tried, file)]).toEqual([expect.stringMatching(/the disk is full/), "backup"]);
    return opened instanceof Error;
  };
  let more = 0;
  while (await isRefusedWith(more)) more++;
  expect(more).toBeGreaterThan(3);
  const journal = await Journal.open(file);
  expect(await journal.restore()).toMatchObject({ orders: 3 + RUNNING, compensations: HELD + 3 * RUNNING });
  await expectNothingGoesOn(journal);
  await journal.close();
});

describe.skipIf(WITHOUT_FAILING_DISK !== undefined)("what is new is on the disk, with its name", () => {
  test("each directory that is made for a journal, before the journal is in it", () => {
    const at = join(directory, "new");
    mkdirSync(at);
    const { steps } = diskStepsOf(library, at, [OPEN, join(at, "a", "b", "orders.db")]);
    expect(steps.slice(0, 4)).toEqual(["mkdir /a", "sync ", "mkdir /a/b", "sync /a"]);
  });

  test("a backup, before it has its name, and its name before the backup is said to be made", () => {
    const { at, file } = place("named");
    const { steps, stdout } = diskStepsOf(library, at, [OPEN, file, join(at, "copy.db")]);
    expect(stdout).toBe("open\n");
    const ofCopy = steps.filter((step) => /copy\.db|^sync $/.test(step));
    const named = ofCopy.indexOf("rename /copy.db");
    expect(ofCopy.slice(named - 1, named + 3)).toEqual([
      expect.stringMatching(/^sync \/copy\.db\..*partial$/),
      ...["rename /copy.db", "sync ", "mkdir /copy.db.told"],
    ]);
    const written = ofCopy.findLastIndex((step) => /^write .*partial$/.test(step));
    expect(written).toBeLessThan(named - 1);
  });
});
