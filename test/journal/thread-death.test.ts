import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { JournalFile } from "../../workers/journal/journal-file.ts";
import type { Operation } from "../../workers/journal/protocol.ts";
import { eventually } from "../support/eventually.ts";
import { answerTo, JournalFixture, keyOf, NOW, undo } from "./journal-fixture.ts";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test("a batch that is carried out a second time gives the same answers and changes nothing", () => {
  const directory = mkdtempSync(join(tmpdir(), "journal-twice-"));
  const journal = new JournalFile({ file: join(directory, "orders.db"), events: true });
  const state = () => {
    const { results } = journal.run([
      ...["a", "b", "c", "d"].map((orderId): Operation => ["find", orderId]),
      ["pendingUndos", 0, 100],
      ["undelivered", 0, 100],
    ]);
    return results;
  };
  journal.run([
    ["accept", 1, "c", 5, NOW],
    ["accept", 2, "d", 5, NOW],
    ["finish", "d", 1, "timeout", answerTo("d", "timeout").json, NOW, [undo("vendor", false), undo("payment", false)]],
  ]);
  const batch: Operation[] = [
    ["accept", 10, "a", 5, NOW, "", "k", "h", NOW + 1],
    ["accept", 11, "a", 5, NOW, "", "k2", "h2", NOW + 1],
    ["accept", 12, "a", 6, NOW],
    // The key has expired in between and goes to another order: the first accept must not meet it there.
    ["accept", 13, "b", 5, NOW + 1, "", "k", "other", NOW + 2],
    ["finish", "c", 1, "no_courier", answerTo("c", "no_courier").json, NOW, [undo("payment", true)]],
    ["accept", 14, "c", 5, NOW],
    ["undoTried", 15, "d", 1, "vendor", false, NOW],
    ["undoTried", 16, "d", 1, "payment", true, NOW],
    ["undoTried", 17, "d", 1, "vendor", true, NOW],
  ];
  try {
    const first = journal.run(batch);
    const written = state();
    expect(first.results).toEqual([1, { type: "running", orderId: "a", attempt: 1 }, { type: "conflict" }, 1, null, 2, null, null, null]);
    const second = journal.run(batch);
    expect(state()).toEqual(written);
    // `finish` answers with the same answer, only that now it says where it has it from.
    expect(second.results).toEqual(first.results.with(4, answerTo("c", "no_courier")));
    expect(written.at(-1)).toHaveLength(4);
  } finally {
    journal.close();
    rmSync(directory, { recursive: true, force: true });
  }
});

describe.each(["file", "memory"] as const)("the journal's thread dies, journal in a %s", (kind) => {
  test("idle: the next request finds another one, with everything there", async () => {
    let deaths = 0;
    await using at = await JournalFixture.open(kind, { onThreadDeath: () => deaths++ });
    await at.accept("a");
    at.journal.killThread();
    await pause(20);
    expect(await at.accept("a")).toEqual({ type: "running", orderId: "a", attempt: 1 });
    expect(deaths).toBe(1);
    expect(at.journal.healthy).toBe(true);
  });

  test("while another thread takes over: no harm either", async () => {
    await using at = await JournalFixture.open(kind);
    await at.accept("a");
    for (let ms = 0; ms < 60; ms += 12) {
      at.journal.killThread();
      await pause(ms);
    }
    expect(await at.accept("a")).toEqual({ type: "running", orderId: "a", attempt: 1 });
  });

  test("again and again under load: every request gets the answer it would have got anyway", async () => {
    let deaths = 0;
    let commits = 0;
    const counted = { onThreadDeath: () => deaths++, onCommit: () => commits++ };
    await using at = await JournalFixture.open(kind, { events: true, ...counted });
    let stop = false;
    let orders = 0;
    const client = async (name: number): Promise<void> => {
      for (let n = 0; !stop; n++) {
        const orderId = `${name}-${n}`;
        orders++;
        expect(await at.accept(orderId, 1, keyOf(orderId))).toEqual({ type: "accepted", attempt: 1 });
        const undos = [undo("payment", false)];
        expect(await at.finish(orderId, { error: "timeout", undos })).toEqual(answerTo(orderId, "timeout"));
        const tried = { orderId, attempt: 1, step: "payment", nowMs: NOW } as const;
        await at.journal.undoTried({ ...tried, done: false });
        await at.journal.undoTried({ ...tried, done: true });
        expect((await at.journal.find(orderId))?.attempts).toMatchObject([{ undos: [undo("payment", true, 2)] }]);
      }
    };
    const clients = Promise.all(Array.from({ length: 100 }, (_, name) => client(name)));
    for (let kill = 1; kill <= 12; kill++) {
      const before = commits;
      await eventually("some commits", () => commits > before + (kill % 3));
      await pause(Math.random() * 4);
      at.journal.killThread();
      await eventually("its death", () => deaths === kill);
    }
    stop = true;
    await clients;
    const seen = new Map<string, string[]>();
    for (let after = 0; ; ) {
      const events = await at.journal.undelivered(after, 1_000);
      if (events.length === 0) break;
      for (const { orderId, payload, seq } of events) {
        seen.set(orderId, [...(seen.get(orderId) ?? []), JSON.parse(payload).type]);
        after = seq;
      }
    }
    expect(seen.size).toBe(orders);
    for (const types of seen.values()) expect(types).toEqual(["order.failed", "order.compensated"]);
  });

  test("a close while there is no thread ends all the same", async () => {
    await using at = await JournalFixture.open(kind);
    at.journal.killThread();
    const asked = at.accept("a").catch((error: Error) => error.name);
    await pause(2);
    await at.journal.close();
    await asked;
  });
});
