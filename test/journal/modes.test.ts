import { chmodSync, mkdirSync, mkdtempDisposableSync, readdirSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Journal } from "../../src/journal/journal.ts";
import { openForWriting } from "../../workers/journal/open-database.ts";
import { ChildServer } from "../support/child-server.ts";
import { newId, orderOf, postOrder, send } from "../support/http-client.ts";

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

test.skipIf(process.platform === "win32").each(["000", "777"])(
  "under umask %s nobody but the owner may read the journal, its log, or a backup, and enter the directory that the service has made",
  async (umask) => {
    using root = mkdtempDisposableSync(join(tmpdir(), "modes-"));
    const at = (...names: string[]) => join(root.path, ...names);
    mkdirSync(at("backups"));
    const settings = { JOURNAL: at("deep", "data", "orders.db"), BACKUP_DIR: at("backups"), NODE_COMPILE_CACHE: at("cache") };
    await using server = new ChildServer(settings, ["sh", "-c", `umask ${umask}; exec "${process.execPath}" src/main.ts`]);
    const { port, adminPort } = await server.ports();
    expect((await postOrder(port, orderOf(newId("private"), 0))).status).toBe(200);
    expect((await send(adminPort, { method: "POST", path: "/backup", body: { name: "copy.db" } })).status).toBe(200);
    const modes = Object.fromEntries(readdirSync(at("deep", "data")).map((name) => [name, modeOf(at("deep", "data", name))]));
    expect(modes).toEqual({ "orders.db": "600", "orders.db-shm": "600", "orders.db-wal": "600", "orders.db.lock": "600" });
    expect([at("deep"), at("deep", "data")].map(modeOf)).toEqual(["700", "700"]);
    expect(modeOf(at("backups", "copy.db"))).toBe("600");
  },
);

test.skipIf(process.platform === "win32")(
  "a journal behind a link is made private as well, and the mode of one that is there stays",
  () => {
    using root = mkdtempDisposableSync(join(tmpdir(), "modes-"));
    const file = join(root.path, "orders.db");
    symlinkSync(file, join(root.path, "link"));
    for (const mode of ["600", "640"]) {
      if (mode !== "600") chmodSync(file, Number.parseInt(mode, 8));
      const { db, lock } = openForWriting({ role: "writer", file: join(root.path, "link"), events: false });
      expect([modeOf(file), modeOf(`${file}-wal`)]).toEqual([mode, mode]);
      db.close();
      lock.close();
    }
  },
);

test.skipIf(process.platform === "win32")("the size of a journal behind a link is that of its file with its log", async () => {
  using root = mkdtempDisposableSync(join(tmpdir(), "modes-"));
  const file = join(root.path, "orders.db");
  symlinkSync(file, join(root.path, "link"));
  const journal = await Journal.open(join(root.path, "link"));
  await journal.accept({ orderId: "a", amount: 1, nowMs: 0 });
  const [bytes, ofLog] = [file, `${file}-wal`].map((path) => statSync(path).size) as [number, number];
  expect(ofLog).toBeGreaterThan(0);
  expect((await journal.backlog()).bytes).toBe(bytes + ofLog);
  await journal.close();
});
