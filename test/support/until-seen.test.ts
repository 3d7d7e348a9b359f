import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { fastOnce } from "./fast-once.ts";
import { runUntilSeen } from "./until-seen.ts";

test("a random run goes on until everything has been seen, and waits for its last calls", async () => {
  let ended = 0;
  const sights = [
    { what: "calls", atLeast: 30, seen: () => ended },
    { what: "late ones", atLeast: 1, seen: async () => Number(ended > 100) },
  ];
  const calls = await runUntilSeen({ clients: 4, sights, limitMs: 60_000 }, async () => {
    await turn();
    ended++;
  });
  expect(calls).toBeGreaterThan(100);
  expect(ended).toBe(calls);
});

test("a random run that does not see what it must fails and says what was missing", async () => {
  const sights = [
    { what: "calls", atLeast: 1, seen: () => 1 },
    { what: "unicorns", atLeast: 3, seen: () => 2 },
  ];
  await expect(runUntilSeen({ clients: 2, sights, limitMs: 50 }, () => turn())).rejects.toThrow(/calls: unicorns \(2 of 3\)$/);
});

test("a random run ends with the failure of a call", async () => {
  const sights = [{ what: "unicorns", atLeast: 1, seen: () => 0 }];
  const one = async (n: number) => {
    await turn();
    if (n === 5) throw new Error("broken");
  };
  await expect(runUntilSeen({ clients: 2, sights, limitMs: 60_000 }, one)).rejects.toThrow("broken");
});

test("what is slow every time is not fast once", async () => {
  const times = [300, 200, 20];
  await fastOnce("it", 100, async () => times.shift() ?? 0);
  expect(times).toEqual([]);
  await expect(fastOnce("it", 100, async () => 100)).rejects.toThrow("it never took less than 100 ms: 100, 100");
});
