import { describe, expect, test } from "vitest";
import { GroupCommit } from "../../src/journal/group-commit.ts";
import type { Committed, Operation, Reply } from "../../src/journal/protocol.ts";
import { JournalUnavailable } from "../../src/orders/order-journal.ts";
import { JournalFixture, NOW } from "./journal-fixture.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const write = (n: number) => ["eventDelivered", n, 0] as const;
/** What a promise has come to by the end of this turn. */
const stateOf = (promise: Promise<unknown>) =>
  Promise.race([
    promise.then(
      () => "resolved",
      () => "rejected",
    ),
    turn().then(() => "open"),
  ]);

/** A journal's thread that answers on demand. */
function gated(maxBatch?: number) {
  const batches: {
    names: unknown[];
    answer: (reply?: Partial<Committed>) => void;
    say: (reply: Reply) => void;
    break: (error: Error) => void;
  }[] = [];
  const replies: string[] = [];
  const shared: number[] = [];
  const commits = new GroupCommit({
    send: (batch: readonly Operation[]) =>
      new Promise<Reply>((resolve, reject) => {
        const answer = (reply: Partial<Committed> = {}) =>
          resolve({ type: "committed", results: batch.map(() => null), commitMs: 1, ...reply });
        batches.push({ names: batch.map(([, name]) => name), answer, say: resolve, break: reject });
      }),
    onReply: (reply) => void replies.push(reply.type),
    onCommit: (requests) => void shared.push(requests),
    ...(maxBatch !== undefined && { maxBatch }),
  });
  return { commits, batches, replies, shared };
}

describe("the group", () => {
  test("what one turn of the event loop asks for goes as one batch, at the end of that turn", async () => {
    const { commits, batches } = gated();
    const answers = [1, 2].map((n) => commits.request(write(n)));
    await Promise.resolve().then(() => answers.push(commits.request(write(3))));
    expect(batches).toEqual([]);
    await turn();
    expect(batches.map(({ names }) => names)).toEqual([[1, 2, 3]]);
    batches[0]?.answer();
    expect(await Promise.all(answers)).toEqual([null, null, null]);
  });

  test("what arrives while a batch is under way, over however many turns, goes together and in order into the next", async () => {
    const { commits, batches, replies, shared } = gated();
    const answers = [commits.request(write(0))];
    await turn();
    for (let n = 1; n <= 5; n++) {
      answers.push(commits.request(write(n)));
      await turn();
    }
    expect(batches).toHaveLength(1);
    batches[0]?.answer();
    await answers[0];
    await turn();
    expect(batches[1]?.names).toEqual([1, 2, 3, 4, 5]);
    batches[1]?.answer();
    await Promise.all(answers);
    expect([replies, shared]).toEqual([
      ["committed", "committed"],
      [1, 5],
    ]);
  });

  test("a batch has its limit; the rest waits for the next", async () => {
    const { commits, batches } = gated(3);
    const answers = Array.from({ length: 8 }, (_, n) => commits.request(write(n)));
    for (let n = 0; n < 3; n++) {
      await turn();
      batches[n]?.answer();
    }
    await Promise.all(answers);
    expect(batches.map(({ names }) => names.length)).toEqual([3, 3, 2]);
  });

  test("each request gets its own result, its own fault, or the batch's trouble", async () => {
    const { commits, batches } = gated();
    const mixed = [1, 2, 3].map((n) => commits.request(write(n)));
    await turn();
    batches[0]?.answer({ results: [null, undefined, null], faults: [[1, "wrong"]] });
    expect(await Promise.allSettled(mixed)).toEqual([
      { status: "fulfilled", value: null },
      { status: "rejected", reason: new Error("wrong") },
      { status: "fulfilled", value: null },
    ]);
    const failed = [4, 5].map((n) => commits.request(write(n)));
    await turn();
    batches[1]?.say({ type: "refused", reason: "the disk is full" });
    for (const each of failed) {
      await expect(each).rejects.toThrow(new JournalUnavailable("the disk is full"));
      await expect(each).rejects.toBeInstanceOf(JournalUnavailable);
    }
    const next = commits.request(write(6));
    await turn();
    batches[2]?.answer();
    expect(await next).toBeNull();
  });

  test("a batch that never left fails alone; the next one goes", async () => {
    const { commits, batches } = gated();
    const lost = commits.request(write(1));
    await turn();
    const next = commits.request(write(2));
    batches[0]?.break(new Error("it could not be cloned"));
    await expect(lost).rejects.toThrow(new JournalUnavailable("it could not be cloned"));
    await turn();
    batches[1]?.answer();
    expect(await next).toBeNull();
  });

  test("after a fatal reply nothing settles: not the batch, not what waits, not what comes; and a close waits for none of it", async () => {
    const { commits, batches, replies, shared } = gated();
    const asked = [commits.request(write(1))];
    await turn();
    asked.push(commits.request(write(2)));
    batches[0]?.say({ type: "fatal", reason: "the disk reports an error" });
    await turn();
    asked.push(commits.request(write(3)));
    for (const each of asked) expect(await stateOf(each)).toBe("open");
    expect(batches).toHaveLength(1);
    expect([replies, shared]).toEqual([["fatal"], []]);
    await commits.close();
    for (const each of asked) expect(await stateOf(each)).toBe("open");
  });

  test("abandoned while a batch is under way: its answer comes too late, and a close that waits for it ends", async () => {
    const { commits, batches, replies } = gated();
    const underWay = commits.request(write(1));
    await turn();
    const waits = commits.request(write(2));
    const closed = commits.close();
    commits.abandon();
    await closed;
    batches[0]?.answer();
    expect(await stateOf(underWay)).toBe("open");
    expect(await stateOf(waits)).toBe("open");
    expect(batches).toHaveLength(1);
    expect(replies).toEqual([]);
    // Idle when it was abandoned.
    const idle = gated();
    idle.commits.abandon();
    expect(await stateOf(idle.commits.request(write(1)))).toBe("open");
    await turn();
    expect(idle.batches).toEqual([]);
  });

  test("a close lets everything end that was asked for before, and refuses what comes", async () => {
    const { commits, batches } = gated(1);
    const underWay = commits.request(write(1));
    await turn();
    const waits = commits.request(write(2));
    let closed = false;
    const closing = commits.close().then(() => (closed = true));
    await expect(commits.request(write(3))).rejects.toThrow(new JournalUnavailable("the journal is closed"));
    batches[0]?.answer();
    expect(await underWay).toBeNull();
    await turn();
    expect(closed).toBe(false);
    batches[1]?.answer();
    expect(await waits).toBeNull();
    await closing;
  });

  test("a listener's fault does not make a durable batch look refused", async () => {
    const seen = Promise.withResolvers<unknown>();
    const others = process.listeners("unhandledRejection");
    process.removeAllListeners("unhandledRejection");
    process.once("unhandledRejection", seen.resolve);
    try {
      const commits = new GroupCommit({
        send: async () => ({ type: "committed", results: [null] }),
        onReply() {
          throw new Error("a bug of a listener");
        },
      });
      const request = commits.request(write(1));
      expect(await seen.promise).toEqual(new Error("a bug of a listener"));
      expect(await stateOf(request)).toBe("open");
    } finally {
      for (const listener of others) process.on("unhandledRejection", listener);
    }
  });
});

describe("on the journal", () => {
  test("what arrives during a commit shares the next one, and both are reported", async () => {
    const commits: [number, number][] = [];
    await using at = await JournalFixture.open("file", { onCommit: (requests, milliseconds) => commits.push([requests, milliseconds]) });
    const first = at.accept("first");
    // Right behind the batch that goes out: its answer cannot be here yet.
    const rest = new Promise<void>((resolve) => setImmediate(resolve)).then(() =>
      Promise.all(Array.from({ length: 40 }, (_, n) => at.accept(`o${n}`))),
    );
    await Promise.all([first, rest]);
    expect(commits.map(([requests]) => requests)).toEqual([1, 40]);
    for (const [, milliseconds] of commits) expect(milliseconds).toBeGreaterThan(0);
  });

  test("reading, and asking again for what is known, commits nothing", async () => {
    let commits = 0;
    await using at = await JournalFixture.open("file", { onCommit: () => commits++ });
    await at.accept("a");
    await at.finish("a");
    expect(commits).toBe(2);
    await Promise.all([at.journal.find("a"), at.take("payment"), at.dueEvents(0), at.journal.backlog()]);
    await Promise.all([at.accept("a"), at.accept("a", 5), at.journal.expireKeys(0, 10), at.journal.closeInterrupted(10, 0)]);
    await Promise.all([at.journal.eventDelivered(1, 0), at.journal.redeliver(1, 0, "me"), at.journal.retire(0, [], 10)]);
    await Promise.all([at.journal.takeCompensation(1, NOW, "me"), at.journal.settleCompensation(1, "", NOW, "me")]);
    expect(commits).toBe(2);
    await at.accept("b");
    expect(commits).toBe(3);
  });

  test.each(["memory", "file"] as const)("a closed journal in %s refuses, having ended what was asked for before", async (kind) => {
    await using at = await JournalFixture.open(kind);
    await at.accept("o", 7);
    // Few enough that the thread gets them together with the close.
    const reads = Array.from({ length: 20 }, () => at.journal.find("o"));
    const last = at.accept("a");
    const closed = at.journal.close();
    expect((await Promise.all(reads)).map((found) => found?.amount)).toEqual(Array(20).fill(7));
    expect(await last).toEqual({ type: "accepted", attempt: 1 });
    for (const late of [at.accept("b"), at.journal.find("a"), ...(kind === "file" ? [at.journal.backup(`${at.file}.copy`)] : [])])
      await expect(late).rejects.toThrow(new JournalUnavailable("the journal is closed"));
    await closed;
    await at.journal.close();
  });
});
