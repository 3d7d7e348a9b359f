import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Journal } from "../../src/journal/journal.ts";
import { answerTo, DAY_MS, dueAt, keyOf, NOW } from "./journal-fixture.ts";

let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "journal-survival-"));
  file = join(directory, "orders.db");
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

interface Promised {
  readonly amount: number;
  /** `ending`: failed, and not answered yet. */
  state: "accepted" | "placed" | "ending" | "failed" | "compensated";
}

/** Lets a process write for `ms` after its first acknowledgement, kills it, and returns everything it had acknowledged. */
async function writeAndKill(prefix: string, clients: number, ms: number): Promise<Map<string, Promised>> {
  const script = join(import.meta.dirname, "writer-child.ts");
  const acknowledged = join(directory, `${prefix}.txt`);
  const args = [script, file, prefix, String(clients), acknowledged];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  child.stdout.once("data", () => setTimeout(() => child.kill("SIGKILL"), ms));
  await once(child, "close");
  expect(child.signalCode).toBe("SIGKILL");
  const text = readFileSync(acknowledged, "utf8");
  const promised = new Map<string, Promised>();
  for (const line of text.slice(0, Math.max(0, text.lastIndexOf("\n"))).split("\n")) {
    // Killed before the first line was in the file.
    if (line === "") continue;
    const [state = "", orderId = "", amount, type] = line.split(" ");
    if (state === "accepted") {
      expect(type).toBe("accepted");
      promised.set(orderId, { amount: Number(amount), state });
    } else {
      const order = promised.get(orderId);
      if (order === undefined) throw new Error(`${line}: was never accepted`);
      order.state = state as Promised["state"];
    }
  }
  return promised;
}

/** What a promise leaves open: what was under way when the process died may have happened or not. */
const LATER: Readonly<Record<Promised["state"], readonly string[]>> = {
  accepted: ["accepted", "placed", "ending", "failed", "compensated"],
  placed: ["placed"],
  ending: ["ending", "failed", "compensated"],
  failed: ["failed", "compensated"],
  compensated: ["compensated"],
};

async function stateOf(journal: Journal, orderId: string, amount: number): Promise<string> {
  const found = await journal.find(orderId);
  expect(found?.attempts).toHaveLength(1);
  const attempt = found?.attempts[0];
  expect(attempt).toMatchObject({ attempt: 1, amount });
  if (attempt?.ended === undefined) return "accepted";
  expect(attempt.ended.answer.order_id).toBe(orderId);
  const { answer } = attempt.ended;
  if (answer.status === "ok") return "placed";
  if (answer.steps[0]?.compensation === "pending") return "ending";
  return attempt.compensations.every(({ status }) => status === "done") ? "compensated" : "failed";
}

/** What the same request gets: only an answer that was stored as one. */
async function askAgain(journal: Journal, orderId: string, amount: number, state: string): Promise<void> {
  const nowMs = Date.now();
  const again = await journal.accept({ orderId, amount, nowMs, key: keyOf(orderId, "body", 2 * nowMs) });
  if (state === "accepted" || state === "ending") expect(again).toEqual({ type: "running", orderId, attempt: 1 });
  else expect(again).toEqual({ type: "replayed", answer: answerTo(orderId, state === "placed" ? undefined : "no_courier") });
}

const EVENTS: Readonly<Record<string, readonly string[]>> = {
  accepted: [],
  placed: ["order.placed"],
  ending: ["order.failed"],
  failed: ["order.failed"],
  compensated: ["order.failed", "order.compensated"],
};

/** Adds the types of what is delivered to those before, by order. */
async function deliverAll(journal: Journal, events: Map<string, string[]>): Promise<void> {
  for (;;) {
    const { items } = await journal.takeEvents(dueAt(Date.now() + DAY_MS));
    if (items.length === 0) return;
    for (const { orderId, payload } of items) events.set(orderId, [...(events.get(orderId) ?? []), JSON.parse(payload).type]);
    await Promise.all(items.map(({ seq }) => journal.eventDelivered(seq, NOW)));
  }
}

describe("a process that is killed while it writes", () => {
  test("leaves everything that it had acknowledged, kill after kill, with torn ends of the log too", { timeout: 120_000 }, async () => {
    const all = new Map<string, Promised>();
    const events = new Map<string, string[]>();
    let torn = 0;
    for (let kill = 0; kill < 4; kill++) {
      const clients = [1, 8, 64, 300][kill % 4] ?? 1;
      for (const [orderId, promised] of await writeAndKill(`k${kill}`, clients, 60 * kill)) all.set(orderId, promised);
      if (kill % 2 === 1) torn += tearLog() ? 1 : 0;
      const journal = await Journal.open(file, { events: true });
      await deliverAll(journal, events);
      for (const [orderId, { amount, state }] of all) {
        const found = await stateOf(journal, orderId, amount);
        expect(LATER[state], `${orderId} was ${state}`).toContain(found);
        expect(events.get(orderId) ?? [], orderId).toEqual(EVENTS[found]);
        await askAgain(journal, orderId, amount, found);
        const order = all.get(orderId);
        if (order !== undefined) order.state = found as Promised["state"];
      }
      await journal.close();
    }
    expect(all.size).toBeGreaterThan(100);
    expect(torn).toBeGreaterThan(0);
  });

  /** What a crash of the machine may leave behind the last whole commit: the beginning of a frame, and bytes that mean nothing. */
  function tearLog(): boolean {
    const log = `${file}-wal`;
    if ((statSync(log, { throwIfNoEntry: false })?.size ?? 0) < 4_152) return false;
    const frame = readFileSync(log).subarray(32, 32 + 24 + 1_000);
    appendFileSync(log, Buffer.concat([frame, Buffer.alloc(333, 0xee)]));
    return true;
  }
});

describe("a log that ends early", () => {
  /** A database and its log as they are on the disk after `first` was acknowledged and after `second` was. */
  async function images(): Promise<{ lengthBefore: number; length: number; database: string; log: string }> {
    const journal = await Journal.open(file);
    await journal.accept({ orderId: "first", amount: 1, nowMs: NOW, key: keyOf("k1") });
    const ending = { answer: answerTo("first"), answered: true, compensations: [] };
    await journal.finish({ ...ending, orderId: "first", attempt: 1, nowMs: NOW });
    const lengthBefore = statSync(`${file}-wal`).size;
    await journal.accept({ orderId: "second", amount: 2, nowMs: NOW, key: keyOf("k2") });
    const length = statSync(`${file}-wal`).size;
    const database = join(directory, "image.db");
    const log = join(directory, "image.log");
    copyFileSync(file, database);
    copyFileSync(`${file}-wal`, log);
    await journal.close();
    return { lengthBefore, length, database, log };
  }

  async function reopened(database: string, log: Buffer): Promise<[first: unknown, second: unknown]> {
    const path = join(directory, "crashed.db");
    copyFileSync(database, path);
    writeFileSync(`${path}-wal`, log);
    const journal = await Journal.open(path);
    const found = await Promise.all(["first", "second"].map((orderId) => journal.find(orderId)));
    // It goes on from there as from any other state.
    expect(await journal.accept({ orderId: "third", amount: 3, nowMs: NOW })).toEqual({ type: "accepted", attempt: 1 });
    await journal.close();
    return found as [unknown, unknown];
  }

  test("anywhere within what was never acknowledged loses that, whole, and nothing else", async () => {
    const { lengthBefore, length, database, log } = await images();
    const bytes = readFileSync(log);
    const cuts = [lengthBefore, lengthBefore + 1, lengthBefore + 24, lengthBefore + 2_000, length - 4_120, length - 1];
    for (const cut of cuts) {
      const [first, second] = await reopened(database, bytes.subarray(0, cut));
      expect(first).toMatchObject({ attempts: [{ ended: { answer: { status: "ok" } } }] });
      expect(second).toBeUndefined();
    }
    const [, second] = await reopened(database, bytes);
    expect(second).toMatchObject({ amount: 2 });
  });

  test("with a last page of which a part is old or zero: the same", async () => {
    const { lengthBefore, length, database, log } = await images();
    for (const [from, to] of [
      [length - 512, length],
      [length - 4_096, length - 2_048],
      [lengthBefore + 30, lengthBefore + 31],
    ] as const) {
      const bytes = readFileSync(log);
      for (let at = from; at < to; at++) bytes[at] = (bytes[at] ?? 0) ^ 0x5a;
      const [first, second] = await reopened(database, bytes);
      expect(first).toMatchObject({ attempts: [{ ended: { answer: { status: "ok" } } }] });
      expect(second).toBeUndefined();
    }
  });
});
