import { expect, test } from "vitest";
import type { Hello, Tick } from "../../../src/admin/live/messages.ts";
import { playedTenSeconds } from "./played-events.ts";

interface Sample {
  readonly at: number;
  readonly other: number;
}

// Code of a browser is checked with other types than this file.
const {
  LaneModel,
}: {
  readonly LaneModel: new () => {
    hello(hello: Hello): void;
    tick(tick: Tick): void;
    readonly lanes: readonly { readonly samples: Sample[] }[];
  };
} = await import(String(new URL("../../../src/web/live/threads/lane-model.js", import.meta.url)));

test.each([
  ["stuck until it was replaced, so its bar ends there", 1_200, { at: 450, other: 1_400 }],
  ["not stuck when it was replaced, so nothing is made up", 90, { at: 250, other: 90 }],
])("a thread was %s", (_what, heartbeatAgeMs, last) => {
  const { hello, ticks } = playedTenSeconds(0);
  const model = new LaneModel();
  model.hello(hello);
  const quiet = { ...(ticks[0] as Tick), replaced: [], long_steps: [], orders: [] };
  model.tick({ ...quiet, now: 250, threads: [[7, "exclusive", 1, 1, heartbeatAgeMs]] });
  model.tick({ ...quiet, now: 500, threads: [], replaced: [{ id: 7, pool: "exclusive", reason: "no progress", at: 450 }] });
  expect(model.lanes[2]?.samples.at(-1)).toMatchObject(last);
});
