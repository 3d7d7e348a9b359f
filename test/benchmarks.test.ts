import { describe, expect, test } from "vitest";
import { type Innocents, innocents } from "../load/peers/innocents.ts";
import { measure } from "../load/peers/measure.ts";
import type { Peer } from "../load/peers/peer.ts";
import { OWN, PEERS } from "../load/peers/peers.ts";
import { markdown, type Rounds } from "../load/peers/rows.ts";
import { targetsOf } from "../load/peers/targets.ts";
import { changedFiles } from "../load/tricks/project-copy.ts";
import { TRICKS } from "../load/tricks/tricks.ts";

const SECONDS = 1;
const own = PEERS[OWN] as Peer;

/** The library with a fault: whoever is canceled takes its neighbors along. */
const careless: Peer = {
  ...own,
  async open(threads, notes) {
    const pool = await own.open(threads, notes);
    const cancels = new Set<() => void>();
    return {
      run(job, options) {
        const { settled, cancel } = pool.run(job, options);
        cancels.add(cancel);
        void settled.then(() => cancels.delete(cancel));
        const all = (): void => {
          for (const one of [...cancels]) one();
        };
        return { settled, cancel: all };
      },
      [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
    };
  },
};

describe("npm run bench:peers", () => {
  test("finds no innocents and no threads lost by the library, having looked at some", async () => {
    const figures = await measure(own, SECONDS);
    const rounds: Rounds = { name: OWN, peer: own, figures: [figures], memory: [{ kibATask: 1, running: 1, tasks: 1 }] };
    expect(targetsOf([rounds])).toEqual(Array.from({ length: 3 }, () => ({ text: expect.any(String), met: true })));
    // On a machine that stalls a task may be over before anybody cancels it.
    for (const { settledMs, ranOn } of Object.values(figures.cancels)) expect(ranOn).toBeLessThan(settledMs.length);
    expect(markdown([rounds]).split("\n")).toContainEqual(expect.stringMatching(/^\| innocents lost .+ \| 0 \|$/));

    const faulty = { ...figures, innocents: { ...(figures.innocents as Innocents), threadsLost: 1 } };
    expect(targetsOf([{ ...rounds, figures: [figures, faulty] }]).map(({ met }) => met)).toEqual([true, true, false]);
  });

  test("sees innocents that are lost", async () => {
    const { lost, threadsLost } = await innocents(careless, 0.3);
    expect([lost > 0, threadsLost]).toEqual([true, 0]);
  });
});

describe("npm run bench:tricks", () => {
  const PROJECT = new URL("..", import.meta.url);

  // The bench itself runs for minutes; a change that fits the project no more is to be seen at once.
  test.each(TRICKS.filter(({ isControl }) => !isControl))("$name: its ordinary way fits the project", ({ change }) => {
    expect(changedFiles(change).size).toBeGreaterThan(0);
  });

  test.each(TRICKS.flatMap(({ change: { replaced = {} } }) => Object.entries(replaced)))(
    "what takes the place of %s exports the same",
    async (file, by) => {
      const [own, plain] = await Promise.all([file, by].map(async (path) => Object.keys(await import(new URL(path, PROJECT).href)).sort()));
      expect(own?.length).toBeGreaterThan(0);
      expect(plain).toEqual(own);
    },
  );

  test("a change that does not fit is found", () => {
    expect(() => changedFiles({ edits: [{ file: "package.json", from: "no such text", to: "" }] })).toThrow("0 times");
    expect(() => changedFiles({ replaced: { "src/no-such-file.ts": "package.json" } })).toThrow("ENOENT");
  });
});
