import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { SqliteJournal } from "../../src/journal/sqlite-journal.ts";
import { eventually } from "../support/eventually.ts";
import { postOrder, send } from "../support/http-client.ts";
import { startService } from "../support/service.ts";

/** Has the journal's thread die and takes the file before another one can. */
async function stealFile(journal: SqliteJournal, file: string): Promise<DatabaseSync> {
  const thief = new DatabaseSync(file, { timeout: 0 });
  journal.killThread();
  await eventually("the file to be free", () => {
    try {
      thief.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT");
      return true;
    } catch {
      return false;
    }
  });
  return thief;
}

test.each([
  ["the shutdown timeout", "300", false],
  ["a second signal", "600000", true],
])("a journal that is lost under an order does not keep the process: %s ends the wait", async (_, timeoutMs, secondSignal) => {
  const directory = mkdtempSync(join(tmpdir(), "lost-journal-"));
  const file = join(directory, "orders.db");
  const { service, port } = await startService({ JOURNAL: file, SHUTDOWN_TIMEOUT_MS: timeoutMs });
  let stopped: Promise<void> | undefined;
  let thief: DatabaseSync | undefined;
  try {
    const placed = postOrder(port, { order_id: "lost", amount: 5, delay_ms: { payment: 300 } }).catch((error: unknown) => error);
    await eventually("the order to run", () => service.desk.inFlight === 1 && service.runtime.totals().running > 0);
    thief = await stealFile(service.journal, file);
    await eventually("its steps to end", () => service.runtime.totals().running === 0);
    await eventually("an unready server", async () => (await send(port, { path: "/readyz" })).status === 503);
    stopped = service.stop();
    if (secondSignal) service.cancelAll();
    await stopped;
    expect(service.desk.inFlight).toBe(0);
    // Told as failed, or not told: both are what the next start makes of it.
    const answer = (await placed) as { status?: number };
    expect([500, undefined]).toContain(answer.status);
    thief.close();
    const next = await SqliteJournal.open(file);
    expect(await next.closeInterrupted(10, 0)).toBe(1);
    expect((await next.find("lost"))?.attempts.at(-1)?.ended?.answer.error?.kind).toBe("internal");
    await next.close();
  } finally {
    service.cancelAll();
    await (stopped ?? service.stop());
    rmSync(directory, { recursive: true, force: true });
  }
});
