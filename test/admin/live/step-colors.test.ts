import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const LIVE = new URL("../../../src/web/live/", import.meta.url);
const THEME = readFileSync(new URL("theme.css", LIVE), "utf8");
const KEYS = readFileSync(new URL("keys.css", LIVE), "utf8");
const STEP_COLORS = [1, 2, 3, 4, 5, 6].map((n) => `step-${n}`);
const DARK = THEME.indexOf("@media (prefers-color-scheme: dark)");
// What WCAG asks of graphics (1.4.11).
const LEAST_CONTRAST = 3;
// In Oklab. A guess, from looking at them as lines of 1.5 px and as pale bars: the nearest two have 0.138.
const LEAST_DISTANCE = 0.12;

const COLOR_VISION = {
  protanopes: without([0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998]),
  deuteranopes: without([0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881]),
  tritanopes: without([1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039]),
};

describe.each([
  ["light", THEME.slice(0, DARK)],
  ["dark", THEME.slice(DARK)],
])("the colours of six steps, %s", (_scheme, css) => {
  const linear = (name: string) => linearOf(new RegExp(`--${name}: #([0-9a-f]{6});`).exec(css)?.[1] ?? "");

  test.each(["panel", "lane"])("stand out from the %s", (background) => {
    for (const name of STEP_COLORS)
      expect([name, contrast(linear(name), linear(background))]).toEqual([name, expect.toSatisfy((ratio) => ratio >= LEAST_CONTRAST)]);
  });

  test("differ from each other, and from those of failures and compensations", () => {
    const steps = STEP_COLORS.map((name) => ({ name, lab: oklab(linear(name)) }));
    for (const [index, { name, lab }] of steps.entries()) {
      const others = steps.slice(index + 1);
      for (const other of others)
        expect([name, other.name, distance(lab, other.lab)]).toEqual([name, other.name, expect.toSatisfy((far) => far >= LEAST_DISTANCE)]);
      for (const marks of ["failed", "compensated"]) expect(distance(lab, oklab(linear(marks)))).toBeGreaterThan(0.1);
    }
  });

  test.each(Object.entries(COLOR_VISION))(
    "of an order, its failure, its compensation and a thread's load differ for %s too",
    (_who, seen) => {
      const labs = ["step-1", "step-2", "step-3", "failed", "compensated", "faint"].map(
        (name) => [name, oklab(seen(linear(name)))] as const,
      );
      for (const [index, [name, lab]] of labs.entries())
        for (const [other, otherLab] of labs.slice(index + 1))
          expect([name, other, distance(lab, otherLab)]).toEqual([name, other, expect.toSatisfy((far) => far >= LEAST_DISTANCE)]);
    },
  );
});

test("each has a class for keys and timelines", () => {
  for (const name of STEP_COLORS) expect(KEYS).toContain(`.${name} {\n  --color: var(--${name});\n}`);
});

type Triple = readonly [number, number, number];

function linearOf(hex: string): Triple {
  const [r = 0, g = 0, b = 0] = (hex.match(/../g) ?? []).map((two) => {
    const part = Number.parseInt(two, 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return [r, g, b];
}

/** What someone without one kind of cone sees: Machado, Oliveira and Fernandes, 2009, severity 1. */
function without(matrix: readonly number[]): (color: Triple) => Triple {
  return (color) => {
    const row = (at: number) =>
      Math.min(
        1,
        Math.max(
          0,
          color.reduce((sum, part, n) => sum + part * (matrix[at + n] as number), 0),
        ),
      );
    return [row(0), row(3), row(6)];
  };
}

function contrast(one: Triple, other: Triple): number {
  const luminance = ([r, g, b]: Triple) => 0.2126 * r + 0.7152 * g + 0.0722 * b;
  const [darker = 0, lighter = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (lighter + 0.05) / (darker + 0.05);
}

/** https://bottosson.github.io/posts/oklab */
function oklab([r, g, b]: Triple): Triple {
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

function distance(one: Triple, other: Triple): number {
  return Math.hypot(one[0] - other[0], one[1] - other[1], one[2] - other[2]);
}
