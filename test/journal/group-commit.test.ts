import { describe, expect, test } from "vitest";
import { CommitSizes } from "../../src/journal/commit-sizes.ts";
import { GroupCommit } from "../../src/journal/group-commit.ts";
import { JournalUnavailable, OutcomeUnknown } from "../../src/orders/order-journal.ts";
import type { Operation, Reply } from "../../workers/journal/protocol.ts";
import { JournalFixture } from "./journal-fixture.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const find = (n: number) => ["find", String(n)] as const;

/** A journal's thread that answers when it is told to. */
function gated(maxBatch?: number) {
  const batches: { names: string[]; answer: (reply?: Partial<Reply>) => void; break: (error: Error) => void }[] = [];
  const replies: number[] = [];
  const commits = new GroupCommit({
    send: (batch: readonly Operation[]) =>
      new Promise((resolve, reject) => {
        const answer = (reply: Partial<Reply> = {}) => resolve({ results: batch.map(() => null), ...reply });
        batches.push({ names: batch.map(([, name]) => String(name)), answer, break: reject });
      }),
    onReply: (_reply, requests) => replies.push(requests),
    ...(maxBatch !== undefined && { maxBatch }),
  });
  return { commits, batches, replies };
}

describe("the group", () => {
  test("what one turn of the event loop asks for goes as one batch, at the end of that turn", async () => {
    const { commits, batches } = gated();
    const answers = [1, 2].map((n) => commits.request(find(n)));
    await Promise.resolve().then(() => answers.push(commits.request(find(3))));
    expect(batches).toEqual([]);
    await turn();
    expect(batches.map(({ names }) => names)).toEqual([["1", "2", "3"]]);
    batches[0]?.answer();
    expect(await Promise.all(answers)).toEqual([null, null, null]);
  });

  test("what arrives while a batch is under way, over however many turns, goes together and in order into the next", async () => {
    const { commits, batches, replies } = gated();
    const answers = [commits.request(find(0))];
    await turn();
    for (let n = 1; n <= 5; n++) {
      answers.push(commits.request(find(n)));
      await turn();
    }
    expect(batches).toHaveLength(1);
    expect(commits.waiting).toBe(5);
    batches[0]?.answer();
    await answers[0];
    await turn();
    expect(batches[1]?.names).toEqual(["1", "2", "3", "4", "5"]);
    batches[1]?.answer();
    await Promise.all(answers);
    expect(replies).toEqual([1, 5]);
  });

  test("a batch has its limit; the rest waits for the next", async () => {
    const { commits, batches } = gated(3);
    const answers = Array.from({ length: 8 }, (_, n) => commits.request(find(n)));
    for (let n = 0; n < 3; n++) {
      await turn();
      batches[n]?.answer();
    }
    await Promise.all(answers);
    expect(batches.map(({ names }) => names.length)).toEqual([3, 3, 2]);
  });

  test("each request gets its own result, its own fault, or the batch's trouble", async () => {
    const { commits, batches } = gated();
    const mixed = [1, 2, 3].map((n) => commits.request(find(n)));
    await turn();
    const found = { orderId: "3", amount: 1, attempts: [] };
    batches[0]?.answer({ results: [null, undefined, found], faults: [[1, "wrong"]] });
    expect(await Promise.allSettled(mixed)).toEqual([
      { status: "fulfilled", value: null },
      { status: "rejected", reason: new Error("wrong") },
      { status: "fulfilled", value: found },
    ]);
    const failed = commits.request(find(4));
    await turn();
    batches[1]?.answer({ results: [undefined], unavailable: "the disk is full" });
    await expect(failed).rejects.toThrow(new JournalUnavailable("the disk is full"));
    await expect(failed).rejects.toBeInstanceOf(JournalUnavailable);
    await expect(failed).rejects.not.toBeInstanceOf(OutcomeUnknown);
    const unsure = [5, 6].map((n) => commits.request(find(n)));
    await turn();
    batches[2]?.answer({ results: [undefined, null], unavailable: "the disk reports an error", unsure: true });
    await expect(unsure[0]).rejects.toBeInstanceOf(OutcomeUnknown);
    expect(await unsure[1]).toBeNull();
  });

  test("a batch that is lost fails alone, and nobody knows what it did; the next one goes", async () => {
    const { commits, batches } = gated();
    const lost = commits.request(find(1));
    await turn();
    const next = commits.request(find(2));
    batches[0]?.break(new Error("gone"));
    await expect(lost).rejects.toThrow(new OutcomeUnknown("gone"));
    await expect(lost).rejects.toBeInstanceOf(OutcomeUnknown);
    await turn();
    batches[1]?.break(new JournalUnavailable("closed"));
    await expect(next).rejects.toThrow("closed");
    await expect(next).rejects.not.toBeInstanceOf(OutcomeUnknown);
    const last = commits.request(find(3));
    await turn();
    batches[2]?.answer();
    expect(await last).toBeNull();
  });

  test("refusing fails what waits and what comes, not what is under way; idle waits for that", async () => {
    const { commits, batches } = gated();
    const underWay = commits.request(find(1));
    await turn();
    const waits = commits.request(find(2));
    commits.refuse("closed");
    await expect(waits).rejects.toThrow(new JournalUnavailable("closed"));
    await expect(commits.request(find(3))).rejects.toThrow(new JournalUnavailable("closed"));
    let idle = false;
    const settled = commits.idle().then(() => (idle = true));
    await turn();
    expect(idle).toBe(false);
    batches[0]?.answer();
    await settled;
    expect(await underWay).toBeNull();
    commits.refuse(undefined);
    const again = commits.request(find(4));
    await turn();
    batches[1]?.answer();
    expect(await again).toBeNull();
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
    expect(at.journal.commitSizes.filter((step) => step.commits > 0)).toEqual([
      { upTo: 1, commits: 1 },
      { upTo: 64, commits: 1 },
    ]);
  });

  test("reading, and asking again for what is known, commits nothing", async () => {
    let commits = 0;
    await using at = await JournalFixture.open("file", { onCommit: () => commits++ });
    await at.accept("a");
    await at.finish("a");
    expect(commits).toBe(2);
    await Promise.all([at.journal.find("a"), at.journal.pendingUndos(0, 1), at.journal.undelivered(0, 1), at.journal.find("b")]);
    await Promise.all([at.accept("a"), at.accept("a", 5), at.journal.expireKeys(0, 10), at.journal.closeInterrupted(10, 0)]);
    expect(commits).toBe(2);
  });

  test("a closed journal refuses, having ended what was asked for before", async () => {
    await using at = await JournalFixture.open("file");
    const last = at.accept("a");
    const closed = at.journal.close();
    expect(await last).toEqual({ type: "accepted", attempt: 1 });
    await expect(at.accept("b")).rejects.toThrow(new JournalUnavailable("the journal is closed"));
    await closed;
    await at.journal.close();
  });
});

test("commit sizes count in steps of powers of two", () => {
  const sizes = new CommitSizes();
  for (const requests of [1, 2, 3, 4, 5, 8, 9, 1_024]) sizes.record(requests);
  expect(sizes.steps().filter(({ commits }) => commits > 0)).toEqual([
    { upTo: 1, commits: 1 },
    { upTo: 2, commits: 1 },
    { upTo: 4, commits: 2 },
    { upTo: 8, commits: 2 },
    { upTo: 16, commits: 1 },
    { upTo: 1_024, commits: 1 },
  ]);
});
