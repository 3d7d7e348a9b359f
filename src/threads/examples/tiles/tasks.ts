import { defineTasks, transfer } from "../../worker/index.ts";

/** A wide and low part of the complex plane, in points that are twice as high as they are wide. */
export interface Tile {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly columns: number;
  readonly rows: number;
}

const MOST_TURNS = 50_000;

export const tasks = defineTasks({
  /** For each point how soon it leaves the Mandelbrot set: 0 for one that stays. */
  draw({ left, top, width, columns, rows }: Tile, context): Uint8Array<ArrayBuffer> {
    const points = new Uint8Array(columns * rows);
    for (let n = 0; n < points.length; n++) {
      context.checkpoint(); // The view may have moved.
      const [x, y] = [left + ((n % columns) * width) / columns, top + (Math.floor(n / columns) * 2 * width) / columns];
      let turns = 0;
      for (let [a, b] = [x, y]; a * a + b * b < 4 && turns < MOST_TURNS; turns++) [a, b] = [a * a - b * b + x, 2 * a * b + y];
      points[n] = turns === MOST_TURNS ? 0 : Math.min(turns + 1, 255);
    }
    return transfer(points, [points.buffer]); // Moved, not copied.
  },
});
