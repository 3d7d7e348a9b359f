import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { COMPENSATION_STATES, TRANSITIONS } from "../../src/orders/compensation-state.ts";

const ARROW = /^ {2}(\w+) --> (\w+): (\w+)$/gm;

test("the picture of a compensation's states is the code's own table", () => {
  const text = readFileSync(new URL("../../docs/architecture.md", import.meta.url), "utf8");
  const picture = /### Compensation\n.*?```mermaid\nstateDiagram-v2\n(.*?)```/s.exec(text)?.[1] ?? "";
  const drawn = [...picture.matchAll(ARROW)].map(([, from, to, why]) => `${from} -> ${to}: ${why}`);
  const coded = Object.entries(TRANSITIONS).flatMap(([why, { from, to }]) => from.map((state) => `${state} -> ${to}: ${why}`));
  expect(drawn.toSorted()).toEqual(coded.toSorted());
  expect(coded.length).toBeGreaterThan(0);
});

test("a state that nothing leaves is drawn as an end, and no other", () => {
  const text = readFileSync(new URL("../../docs/architecture.md", import.meta.url), "utf8");
  const left = new Set<string>(Object.values(TRANSITIONS).flatMap(({ from }) => from));
  const ends = [...text.matchAll(/^ {2}(\w+) --> \[\*\]$/gm)].map(([, state]) => state);
  expect(ends.toSorted()).toEqual(COMPENSATION_STATES.filter((state) => !left.has(state)).toSorted());
});
