import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { STEPS } from "../../src/orders/steps.ts";
import { MIGRATIONS } from "../../workers/journal/migrations.ts";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { orderOf, postOrder, send, threadsPage } from "../support/http-client.ts";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const FOR_EVER_MS = 300_000;

interface Answered {
  readonly order: ReturnType<typeof orderOf>;
  readonly status: number;
  readonly text: string;
}

/** This version with one more migration of the schema: the version after this one, as far as a journal can know. */
function makeNextVersion(directory: string): string {
  const next = join(directory, "next");
  for (const path of ["src", "workers", "package.json"]) cpSync(join(PROJECT, path), join(next, path), { recursive: true });
  symlinkSync(join(PROJECT, "node_modules"), join(next, "node_modules"));
  const file = join(next, "workers/journal/migrations.ts");
  const text = readFileSync(file, "utf8");
  const end = text.lastIndexOf("];");
  writeFileSync(
    file,
    `${text.slice(0, end)}  "CREATE TABLE of_the_next_version (x INTEGER) STRICT; CREATE INDEX attempts_of_next ON attempts (amount)",\n];\n`,
  );
  return next;
}

const keyOf = ({ order_id }: Answered["order"]) => ({ "idempotency-key": `key-of-${order_id}` });

async function place(port: number, order: Answered["order"]): Promise<Answered> {
  const { status, text } = await postOrder(port, order, { headers: keyOf(order) });
  return { order, status, text };
}

/** Orders that are sent again get their first answers. */
async function expectSameAnswers(port: number, answered: readonly Answered[]): Promise<void> {
  for (const { order, status, text } of answered) {
    const again = await postOrder(port, order, { headers: keyOf(order) });
    expect([again.status, again.headers["idempotent-replayed"], again.text]).toEqual([status, "true", text]);
  }
}

function schemaOf(journal: string): unknown {
  const db = new DatabaseSync(journal, { readOnly: true });
  const row = db.prepare("PRAGMA user_version").get();
  db.close();
  return row?.user_version;
}

// As docs/operating.md says: back up, upgrade with orders in flight, then back to the old version by the backup.
test("an upgrade keeps every answer, and a roll-back those from before the backup", async () => {
  const directory = mkdtempSync(join(tmpdir(), "upgrade-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const journal = join(directory, "orders.db");
  const backups = join(directory, "backups");
  mkdirSync(backups);
  const settings = { JOURNAL: journal, BACKUP_DIR: backups, ORDER_TIMEOUT_MS: String(FOR_EVER_MS), COURIER_CAPACITY: "128" };
  const newest = { cwd: makeNextVersion(directory) };
  const start = (place = {}) => new ChildServer(settings, undefined, place);
  const ids = (what: string) => Array.from({ length: 5 }, (_, n) => orderOf(`${what}-${n}`, 0));
  const failing = { ...orderOf("failed", 0), fail_step: "vendor" };
  const inFlight = ["in-flight-1", "in-flight-2"];
  let before: Answered[];
  let after: Answered[];

  {
    await using old = start();
    const { port, adminPort } = await old.ports();
    before = await Promise.all([failing, ...ids("before")].map((order) => place(port, order)));
    expect((await send(adminPort, { method: "POST", path: "/backup", body: { name: "before.db" } })).status).toBe(200);
    after = await Promise.all(ids("after").map((order) => place(port, order)));
    expect([...before, ...after].map(({ status }) => status)).toEqual([503, ...Array(10).fill(200)]);
    const cutOff = inFlight.map((id) => expect(postOrder(port, orderOf(id, FOR_EVER_MS))).rejects.toThrow());
    await eventually(
      "the orders to run",
      () => threadsPage(adminPort),
      ({ running }) => running === 2 * STEPS.length,
    );
    // The old version goes without a drain: the worst that an upgrade may begin with.
    old.signal("SIGKILL");
    await Promise.all([old.exited, ...cutOff]);
  }
  expect(schemaOf(journal)).toBe(MIGRATIONS.length);

  {
    await using upgraded = start(newest);
    const { port } = await upgraded.ports();
    expect(schemaOf(journal)).toBe(MIGRATIONS.length + 1);
    await expectSameAnswers(port, [...before, ...after]);
    for (const id of inFlight) {
      const compensated = await eventually(
        "the order to be compensated",
        async () => (await send(port, { path: `/order/${id}` })).json,
        ({ attempts }) => attempts[0].compensations.every(({ status }: { status: string }) => status === "done"),
      );
      expect(compensated).toMatchObject({ status: "error", error: { kind: "internal" }, attempts: [{ cause: "interrupted" }] });
      expect(compensated.attempts[0].compensations.length).toBeGreaterThan(0);
      expect((await postOrder(port, orderOf(id, 0))).status).toBe(200);
    }
    upgraded.signal("SIGTERM");
    expect(await upgraded.exited).toEqual({ code: 0, signal: null });
  }

  {
    await using refused = start();
    expect(await refused.exited).toEqual({ code: 1, signal: null });
    const reason = `it has schema ${MIGRATIONS.length + 1}, written by a newer version; this one knows up to ${MIGRATIONS.length}`;
    expect(refused.stderr).toMatch(/^order-pipeline: [^\n]+\n$/);
    expect(refused.stderr).toContain(reason);
  }

  for (const ending of ["", "-wal", "-shm"]) rmSync(journal + ending, { force: true });
  copyFileSync(join(backups, "before.db"), journal);
  await using rolledBack = start();
  const { port } = await rolledBack.ports();
  await expectSameAnswers(port, before);
  for (const { order } of after) expect((await send(port, { path: `/order/${order.order_id}` })).status).toBe(404);
  rolledBack.signal("SIGTERM");
  expect(await rolledBack.exited).toEqual({ code: 0, signal: null });
  expect(schemaOf(journal)).toBe(MIGRATIONS.length);
});
