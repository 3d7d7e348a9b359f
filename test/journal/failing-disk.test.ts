import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { STEPS } from "../../src/orders/steps.ts";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { buildFailingDisk, type DiskFault, FailingDisk, WITHOUT_FAILING_DISK } from "../support/failing-disk.ts";
import { postOrder, type Received, send } from "../support/http-client.ts";

const CLIENTS = 16;
const SOON = { payment: 0, vendor: 0, courier: 1 };

let directory: string;
let library: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "failing-disk-"));
  if (WITHOUT_FAILING_DISK === undefined) library = buildFailingDisk(directory);
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Asked {
  readonly order: { readonly order_id: string; readonly amount: number };
  readonly answer: Received | undefined;
}

/** Clients that send one order after another, a third of which fail, until nobody answers or they are stopped. */
class Load {
  readonly asked: Asked[] = [];
  readonly #clients: Promise<unknown>;
  #stopping = false;

  constructor(port: number) {
    this.#clients = Promise.all(Array.from({ length: CLIENTS }, (_, name) => this.#client(port, name)));
  }

  get answered(): Asked[] {
    return this.asked.filter(({ answer }) => answer !== undefined);
  }

  async end(): Promise<void> {
    await this.#clients;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#clients;
  }

  async #client(port: number, name: number): Promise<void> {
    const agent = new Agent({ keepAlive: true });
    for (let n = 0; !this.#stopping; n++) {
      const order = { order_id: `${name}-${n}`, amount: n + 1, delay_ms: SOON, ...(n % 3 === 2 && { fail_step: "courier" }) };
      const answer = await postOrder(port, order, { agent, headers: { "idempotency-key": order.order_id } }).catch(() => undefined);
      this.asked.push({ order, answer });
      if (answer === undefined) break;
    }
    agent.destroy();
  }
}

function isExpected({ status, json }: Received): boolean {
  return status === 200 || (status === 503 && json.error.kind === "no_courier");
}

/** Starts a service on what is left and looks at everything that was asked of the one before. */
async function expectNothingLost(journal: string, { asked }: Load): Promise<{ interrupted: number; unknown: number }> {
  await using server = new ChildServer({ JOURNAL: journal });
  const { port } = await server.ports();
  const agent = new Agent({ keepAlive: true });
  let interrupted = 0;
  let unknown = 0;
  for (const { order, answer } of asked) {
    const path = `/order/${order.order_id}`;
    if (answer !== undefined) {
      const { json } = await send(port, { path, agent });
      expect(json).toMatchObject({ order_id: order.order_id, amount: order.amount, status: answer.json.status });
      const again = await postOrder(port, order, { agent, headers: { "idempotency-key": order.order_id } });
      expect(again.headers["idempotent-replayed"]).toBe("true");
      expect([again.status, again.text]).toEqual([answer.status, answer.text]);
      continue;
    }
    const found = await send(port, { path, agent });
    if (found.status === 404) {
      unknown++;
      continue;
    }
    if (found.json.attempts[0].cause !== "interrupted") continue;
    interrupted++;
    await eventually(
      "everything compensated",
      async () => (await send(port, { path })).json.attempts[0].compensations,
      (all: { status: string }[]) => all.length === STEPS.length && all.every(({ status }) => status === "done"),
      30_000,
    );
  }
  agent.destroy();
  return { interrupted, unknown };
}

function fatalLines(server: ChildServer): { msg: string; reason: string }[] {
  const lines = server.stdout.split("\n").filter((line) => line.startsWith("{"));
  return lines.map((line) => JSON.parse(line)).filter(({ level }) => level >= 60);
}

if (WITHOUT_FAILING_DISK !== undefined) console.warn(`the tests of a failing disk are skipped: ${WITHOUT_FAILING_DISK}`);

describe.skipIf(WITHOUT_FAILING_DISK !== undefined)("a disk that fails under the running service", () => {
  function start(name: string) {
    const disk = new FailingDisk(library, join(directory, name));
    const journal = join(directory, name, "orders.db");
    return { disk, journal, server: new ChildServer({ JOURNAL: journal, ...disk.settings }) };
  }

  const CASES = [
    ["in a commit", "sync-log"],
    ["in a checkpoint", "sync-database"],
  ] as const;

  test.each(CASES)(
    "%s: the process ends with one line, and everything that it had answered is there",
    { timeout: 240_000 },
    async (_, mode) => {
      const { disk, journal, server } = start(mode);
      await using _server = server;
      const { port } = await server.ports();
      const load = new Load(port);
      await eventually("some orders", () => load.answered.length >= 40, Boolean, 60_000);
      disk.fail(mode);
      expect(await server.exited).toEqual({ code: 1, signal: null });
      await load.end();
      expect(disk.hasFailed(mode)).toBe(true);
      expect(fatalLines(server)).toEqual([
        expect.objectContaining({ reason: expect.stringMatching(/^the disk reports an error \(SQLite \d+: /) }),
      ]);
      expect(server.stderr).toBe("");
      expect(load.answered.filter(({ answer }) => answer !== undefined && !isExpected(answer))).toEqual([]);
      const { interrupted, unknown } = await expectNothingLost(journal, load);
      expect(interrupted + unknown).toBeGreaterThan(0);
    },
  );

  test.each<[DiskFault, RegExp]>([
    ["sync-copy", /^JournalUnavailable: (the disk reports an error|EIO)/],
    ["full-copy", /^JournalUnavailable: the disk is full/],
  ])("while a backup is written (%s): there is no backup and nothing left of it, and orders go on", (mode, reason) => {
    const disk = new FailingDisk(library, join(directory, mode));
    disk.fail(mode);
    const copies = join(directory, mode, "copies");
    mkdirSync(copies);
    const args = [join(import.meta.dirname, "backup-child.ts"), join(directory, mode, "orders.db"), join(copies, "copy.db")];
    const child = spawnSync(process.execPath, args, { encoding: "utf8", env: { ...process.env, ...disk.settings } });
    expect(child.stderr).toBe("");
    expect(JSON.parse(child.stdout)).toEqual({ outcome: expect.stringMatching(reason), files: [], type: "accepted", healthy: true });
  });

  test("no room in a checkpoint: what is committed is safe in the log, so no order notices", { timeout: 240_000 }, async () => {
    const { disk, journal, server } = start("full-database");
    await using _server = server;
    const { port } = await server.ports();
    disk.fail("full-database");
    const load = new Load(port);
    await eventually("a checkpoint", () => disk.hasFailed("full-database"), Boolean, 180_000);
    const before = load.answered.length;
    await eventually("orders after it", () => load.answered.length >= before + 20, Boolean, 60_000);
    await load.stop();
    expect(load.asked.filter(({ answer }) => answer === undefined || !isExpected(answer))).toEqual([]);
    expect((await send(port, { path: "/readyz" })).status).toBe(200);
    server.signal("SIGKILL");
    await server.exited;
    await expectNothingLost(journal, load);
  });
});

test("the journal's thread dies under the running service: one line, exit code 1, nothing lost", { timeout: 120_000 }, async () => {
  const journal = join(directory, "thread.db");
  const preload = join(import.meta.dirname, "first-worker-dies.ts");
  await using server = new ChildServer({ JOURNAL: journal }, [process.execPath, "--import", preload, "src/start.js"]);
  const { port } = await server.ports();
  const load = new Load(port);
  await eventually("some orders", () => load.answered.length >= 40, Boolean, 60_000);
  server.signal("SIGUSR2");
  expect(await server.exited).toEqual({ code: 1, signal: null });
  await load.end();
  expect(fatalLines(server)).toEqual([expect.objectContaining({ reason: expect.stringMatching(/^the journal's thread ended/) })]);
  expect(load.answered.filter(({ answer }) => answer !== undefined && !isExpected(answer))).toEqual([]);
  await expectNothingLost(journal, load);
});
