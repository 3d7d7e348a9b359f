import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { orderOf, postOrder, send } from "../support/http-client.ts";
import { startService } from "../support/service.ts";
import { fail, type OnFile, startOnFile } from "./fixture.ts";

let server: OnFile;
beforeAll(async () => {
  server = await startOnFile();
});
afterAll(() => server[Symbol.asyncDispose]());

describe("POST /backup", () => {
  test("writes a journal that gives every answer which was given before it began", async () => {
    const { port, service } = server.running;
    const orders = Array.from({ length: 10 }, (_, n) => orderOf(`placed ${n}`, 0));
    const answers = await Promise.all(orders.map((order) => postOrder(port, order)));
    const failing = { ...orderOf("failed", 0), fail_step: "payment" };
    const failed = await postOrder(port, failing, { headers: { "idempotency-key": "k1" } });
    await fail(service.journal, "not compensated", ["payment", "courier"]);
    const before = await Promise.all(["/orders?limit=500", "/compensations"].map((path) => server.get(path)));
    // What comes while it is written may be in it or not; the orders are answered all the same.
    const [{ status, json }, ...others] = await Promise.all([
      server.post("/backup", { name: "2026-11-22.db" }),
      ...Array.from({ length: 20 }, (_, n) => postOrder(port, orderOf(`meanwhile ${n}`, 0))),
    ]);
    expect(others.map((other) => other.status)).toEqual(Array(20).fill(200));
    expect(status).toBe(200);
    const file = join(server.backups, "2026-11-22.db");
    expect(json).toEqual({ status: "ok", name: "2026-11-22.db", bytes: statSync(file).size, duration_ms: expect.any(Number) });
    expect(readdirSync(server.backups)).toEqual(["2026-11-22.db"]);

    await using restored = await startService({ THREADS: "1", CPU_THREADS: "1", JOURNAL: file });
    for (const [index, order] of orders.entries()) {
      const again = await postOrder(restored.port, order);
      expect([again.status, again.headers["idempotent-replayed"], again.text]).toEqual([200, "true", answers[index]?.text]);
    }
    const again = await postOrder(restored.port, failing, { headers: { "idempotency-key": "k1" } });
    expect([again.status, again.headers["idempotent-replayed"], again.text]).toEqual([400, "true", failed.text]);
    const idsOf = (orders: { order_id: string }[]) => orders.map(({ order_id }) => order_id).filter((id) => !id.startsWith("meanwhile"));
    const after = await send(restored.adminPort, { path: "/orders?limit=500" });
    expect(idsOf(after.json.orders)).toEqual(idsOf(before[0]?.json.orders));
    // Nothing is undone there before an operator says so.
    const shape = (rows: { id: number; order_id: string; step: string }[]) =>
      rows.filter(({ order_id }) => !order_id.startsWith("meanwhile")).map(({ id, order_id, step }) => [id, order_id, step]);
    const held = await send(restored.adminPort, { path: "/compensations?state=held" });
    expect(shape(held.json.compensations)).toEqual(shape(before[1]?.json.compensations));
    expect((await send(restored.adminPort, { path: "/compensations" })).json.compensations).toEqual([]);
  });

  test("writes over nothing", async () => {
    writeFileSync(join(server.backups, "taken"), "something");
    const { status, json } = await server.post("/backup", { name: "taken" });
    expect([status, json.error]).toEqual([400, { kind: "bad_request", message: "name: taken exists already in BACKUP_DIR" }]);
    expect((await server.post("/backup", { name: "free" })).status).toBe(200);
    expect((await server.post("/backup", { name: "free" })).status).toBe(400);
    expect(statSync(join(server.backups, "taken")).size).toBe("something".length);
  });

  test("refuses names that are none, or that stand for something else beside a database", async () => {
    const before = readdirSync(server.backups);
    const wrong = ["", ".", "..", "../orders.db", "a/b", "-rf", ".hidden", "x".repeat(101), "é.db", "orders.db\n", 7, undefined];
    for (const name of [...wrong, ...[".partial", ".lock", "-wal", "-shm", "-journal"].map((ending) => `orders.db${ending}`)]) {
      const { status, json } = await server.post("/backup", { name });
      expect([name, status, json.error.kind]).toEqual([name, 400, "bad_request"]);
      expect(json.error.message).toMatch(/^name: must be 1 to 100 letters, digits/);
    }
    expect(readdirSync(server.backups)).toEqual(before);
    expect((await server.post("/backup", { name: "x".repeat(100) })).status).toBe(200);
  });

  test("says what is missing: a directory, a journal in a file, a name that is known", async () => {
    await using nowhere = await startOnFile({ BACKUP_DIR: "" });
    const missing = await nowhere.post("/backup", { name: "a.db" });
    expect([missing.status, missing.json.error.message]).toEqual([400, "backup: there is no place for it; set BACKUP_DIR to a directory"]);
    expect((await nowhere.post("/backup", { name: "a.db", to: "/tmp" })).json.error.message).toContain(
      "to: is not a known field; known are name",
    );
    expect((await nowhere.get("/backup")).headers.allow).toBe("POST");

    await using inMemory = await startOnFile({ JOURNAL: "memory" });
    const none = await inMemory.post("/backup", { name: "a.db" });
    expect([none.status, none.json.error.message]).toEqual([400, "backup: a journal in memory has none; set JOURNAL to a file"]);
  });

  test("a disk that cannot be written is named, and leaves nothing behind", async () => {
    // A directory in the place of the file that grows.
    mkdirSync(join(server.backups, "a.db.order-pipeline.partial"));
    const { status, json } = await server.post("/backup", { name: "a.db" });
    expect([status, json.error.kind]).toEqual([500, "internal"]);
    expect(json.error.message).toMatch(/^the journal could not do that: ./);
    expect(existsSync(join(server.backups, "a.db"))).toBe(false);
  });
});

test.each(["missing", "file"])("a BACKUP_DIR that is no directory (%s) stops the start with one line", async (kind) => {
  const path = join(server.directory, `backups-${kind}`);
  if (kind === "file") writeFileSync(path, "");
  const start = startService({ BACKUP_DIR: path });
  await expect(start).rejects.toThrow(`BACKUP_DIR=${JSON.stringify(path)}: must be a directory that exists`);
});
