import fc from "fast-check";
import { expect, test } from "vitest";
import { seedOf } from "../support/seed.ts";
import { BoardRun, COMMANDS, READERS, START_HEAD } from "./cancel-board-model.ts";

const SEED = seedOf("LAYOUT_SEED");

test(`every reader knows of every cancel it has read past (seed ${SEED})`, () => {
  let commands = 0;
  fc.assert(
    fc.property(START_HEAD, COMMANDS, (startHead, some) => {
      const run = new BoardRun(startHead);
      for (const command of some) run.perform(command);
      run.readAll();
      commands += some.length;
    }),
    { seed: SEED, numRuns: 300 },
  );
  expect(commands).toBeGreaterThan(1_000);
});

test.each([
  ["2^31", 2 ** 31 - 10],
  ["2^32", -10],
])("the head comes to its wrap at %s and past it", (_at, startHead) => {
  const run = new BoardRun(startHead);
  for (let round = 0; round < 20; round++) {
    run.perform({ do: "take" });
    run.perform({ do: "start", pick: 0, reader: round % READERS });
    run.perform({ do: "cancel", pick: 0, cause: "shutdown" });
    run.perform({ do: "read", reader: round % READERS, after: 0, cancels: 0 });
    run.perform({ do: "end", pick: 0, reader: round % READERS });
    run.perform({ do: "giveBack", pick: 0 });
  }
  run.readAll();
});
