import type { Files } from "../architecture/imports.ts";
import { Random } from "../fuzz/random.ts";
import { type Fault, faultsIn } from "./faults.ts";

export interface DrawnFault extends Fault {
  readonly file: string;
}

/** Small faults in the order in which a seed draws them: each line that can have one is as likely as any other, and comes once. */
export function* drawnFrom(files: Files, seed: number): Generator<DrawnFault> {
  const lines: DrawnFault[][] = [];
  for (const [file, text] of files) {
    const byLine = Map.groupBy(faultsIn(file, text), ({ line }) => line);
    for (const faults of byLine.values()) lines.push(faults.map((fault) => ({ ...fault, file })));
  }
  for (let draw = 0; lines.length > 0; draw++) {
    const random = new Random(seed, draw);
    const [faults = []] = lines.splice(random.below(lines.length), 1);
    yield random.pick(faults);
  }
}
