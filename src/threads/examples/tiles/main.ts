// A picture in twelve tiles. When its first tile is there the view moves, three times: nobody wants the other tiles of the old view any more.
import { openThreads } from "../../index.ts";
import type { tasks } from "./tasks.ts";

const [TILES, COLUMNS, ROWS] = [12, 72, 2];
const file = new URL("./tasks.ts", import.meta.url);
await using threads = await openThreads<typeof tasks, "superseded">({ file, shared: 0, exclusive: 2, causes: ["superseded"] });

for (const width of [0.5, 1, 2, 3]) {
  await using view = threads.group();
  const tiles = Array.from({ length: TILES }, (_, n) => {
    const top = (n - TILES / 2) * ROWS * 2 * (width / COLUMNS);
    return view.run("draw", { left: -0.7 - width / 2, top, width, columns: COLUMNS, rows: ROWS }, { on: "exclusive" });
  });
  await Promise.race(tiles);
  if (width < 3) view.cancel("superseded");

  const counts = { drawn: 0, stopped: 0, neverBegun: 0 };
  for (const outcome of (await view.join()).outcomes) {
    if (outcome.status === "ok") counts.drawn++;
    else if (outcome.status === "canceled") counts[outcome.started ? "stopped" : "neverBegun"]++;
  }
  console.log(`view ${width} wide: tiles drawn ${counts.drawn}, stopped ${counts.stopped}, never begun ${counts.neverBegun}`);
  if (width === 3) for (const tile of tiles) print(await tile);
}

function print(tile: Uint8Array): void {
  const text = [...tile].map((turns) => (turns === 0 ? "#" : turns > 12 ? "+" : turns > 6 ? "." : " ")).join("");
  for (let row = 0; row < ROWS; row++) console.log(text.slice(row * COLUMNS, (row + 1) * COLUMNS).trimEnd());
}
