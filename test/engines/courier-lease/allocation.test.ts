import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { allocate, type LeaseEntry, type LeaseSync } from "../../../src/engines/restate/courier-lease/allocation.ts";

function sync(node: string, seq: number, over: Partial<LeaseSync> = {}): LeaseSync {
  return { node, seq, capacity: 5, leaseMs: 1000, keep: 0, want: 0, waitedMs: 0, expired: [], ...over };
}

describe("the shares of the nodes", () => {
  test("a node alone gets what it wants, up to all", () => {
    expect(allocate([], sync("a", 1, { want: 3 })).answer).toMatchObject({ held: 3, target: 3, fairPart: 5, others: [] });
    expect(allocate([], sync("a", 1, { want: 9 })).answer).toMatchObject({ held: 5, target: 5 });
  });

  test("a newcomer gets what is free and a higher target; a node that has too many gets a lower one; then the newcomer has them", () => {
    let { entries } = allocate([], sync("a", 1, { want: 9 }));
    let answer: ReturnType<typeof allocate>["answer"];
    ({ entries, answer } = allocate(entries, sync("b", 1, { want: 9, waitedMs: 10 })));
    expect(answer).toMatchObject({ held: 0, target: 2 });
    ({ entries, answer } = allocate(entries, sync("a", 2, { keep: 5, want: 9 })));
    expect(answer).toMatchObject({ held: 5, target: 3, fairPart: 3 });
    ({ entries, answer } = allocate(entries, sync("a", 3, { keep: 3, want: 9 })));
    expect(answer).toMatchObject({ held: 3, target: 3 });
    ({ entries, answer } = allocate(entries, sync("b", 2, { want: 9 })));
    expect(answer).toMatchObject({ held: 2, target: 2 });
  });

  test("what a node does not use may stay with it while nobody lacks any", () => {
    const { entries } = allocate([], sync("a", 1, { want: 4 }));
    expect(allocate(entries, sync("a", 2, { keep: 4, want: 0 })).answer).toMatchObject({ held: 4, target: 4 });
  });

  test("one courier goes to the node whose waiter has waited clearly longer, and stays otherwise", () => {
    const one = { capacity: 1, want: 5 };
    const { entries } = allocate([], sync("a", 1, one));
    const waits = (waitedMs: number) => allocate(entries, sync("b", 1, { ...one, waitedMs })).answer.target;
    expect(waits(200)).toBe(0);
    expect(waits(300)).toBe(1);
  });
});

describe("nodes that are gone", () => {
  test("one that was seen long enough is dropped, unless it was heard of since", () => {
    const { entries } = allocate([], sync("a", 1, { want: 5 }));
    expect(allocate(entries, sync("b", 1, { want: 5, expired: [{ node: "a", seq: 1 }] })).answer.held).toBe(5);
    expect(allocate(entries, sync("b", 1, { want: 5, expired: [{ node: "a", seq: 0 }] })).answer.held).toBe(0);
  });

  test("one that was dropped and comes back keeps nothing that others have", () => {
    const { entries } = allocate([], sync("a", 1, { want: 5 }));
    const after = allocate(entries, sync("b", 1, { want: 5, expired: [{ node: "a", seq: 1 }] }));
    expect(allocate(after.entries, sync("a", 2, { keep: 5, want: 5 })).answer).toMatchObject({ held: 0, target: 2 });
  });

  test("one that neither holds nor wants any is forgotten", () => {
    const { entries } = allocate([], sync("a", 1, { want: 2 }));
    expect(allocate(entries, sync("a", 2)).entries).toEqual([]);
  });

  test("a call that was overtaken changes nothing and gives nothing", () => {
    const { entries } = allocate([], sync("a", 2, { want: 2 }));
    const late = allocate(entries, sync("a", 1, { want: 5 }));
    expect(late.entries).toBe(entries);
    expect(late.answer.held).toBe(0);
  });
});

test("however nodes call, no more is held than there is, and nobody who is alone goes without", () => {
  const calls = fc.array(
    fc.record({
      node: fc.constantFrom("a", "b", "c"),
      keep: fc.integer({ min: 0, max: 8 }),
      want: fc.integer({ min: 0, max: 12 }),
      waitedMs: fc.integer({ min: 0, max: 2000 }),
      drops: fc.boolean(),
    }),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), calls, (capacity, list) => {
      let entries: readonly LeaseEntry[] = [];
      for (const [index, { node, keep, want, waitedMs, drops }] of list.entries()) {
        const held = entries.find((entry) => entry.node === node)?.held ?? 0;
        const other = entries.find((entry) => entry.node !== node);
        const expired = drops && other !== undefined ? [other] : [];
        const after = allocate(entries, sync(node, index + 1, { capacity, keep: Math.min(keep, held), want, waitedMs, expired }));
        entries = after.entries;
        expect(entries.reduce((sum, entry) => sum + entry.held, 0)).toBeLessThanOrEqual(capacity);
        expect(after.answer.fairPart).toBeLessThanOrEqual(capacity);
        if (entries.length === 1 && entries[0]?.node === node) expect(after.answer.held).toBeGreaterThanOrEqual(Math.min(want, capacity));
      }
    }),
  );
});
