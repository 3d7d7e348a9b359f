import { expect, test } from "vitest";

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

interface Marks {
  drawLabel(view: object, text: string, x: number, wantedY: number): void;
}

// Code of a browser is checked with other types than this file.
const { drawLabel }: Marks = await import(String(new URL("../../../src/web/live/threads/marks.js", import.meta.url)));

const WIDE = 600;
const HIGH = 300;
const context = { measureText: (text: string) => ({ width: text.length * 6 }), fillRect() {}, strokeRect() {}, fillText() {} };

/** Where labels are put on a picture with these bars. */
function labelsOn(bars: readonly Box[], ...places: readonly (readonly [x: number, y: number])[]): Box[] {
  const labels: Box[] = [];
  for (const [x, y] of places)
    drawLabel({ context, colors: {}, left: 100, width: WIDE, height: HIGH, bars, labels }, "payment declined", x, y);
  return labels;
}

const overlap = (one: Box, other: Box) =>
  one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;

test("a caption lies on no bar and on no other caption while there is room, not even at the right edge", () => {
  const bar = { left: 450, right: 590, top: 90, bottom: 130 };
  const labels = labelsOn([bar], [590, 110], [590, 110], [200, 110]);
  expect(labels).toHaveLength(3);
  for (const [index, label] of labels.entries()) {
    expect(overlap(label, bar)).toBe(false);
    for (const other of labels.slice(index + 1)) expect(overlap(label, other)).toBe(false);
    expect([label.left >= 100, label.right <= WIDE, label.top >= 0, label.bottom <= HIGH]).toEqual([true, true, true, true]);
  }
  // Beside its bar where that has room to the right.
  expect(labels[2]).toMatchObject({ left: 208, top: 101, bottom: 119 });
});

test("where bars are everywhere a caption lies on some; where captions are everywhere it is left out", () => {
  const everywhere = { left: 0, right: WIDE, top: 0, bottom: HIGH };
  expect(labelsOn([everywhere], [300, 150])).toMatchObject([{ left: 308, top: 141 }]);
  const many = labelsOn([], ...Array.from({ length: 40 }, () => [300, 150] as const));
  expect(many.length).toBeGreaterThan(5);
  expect(many.length).toBeLessThan(HIGH / 18);
});
