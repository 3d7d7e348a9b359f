import { readdirSync, readFileSync } from "node:fs";

export const expectedMessage = "boom";

/** Three tasks ran side by side: one failed, one waited, one computed. */
export interface FirstFailure {
  /** The other two were at work when the third failed. */
  readonly began: boolean;
  /** The failure came out. */
  readonly failed: boolean;
  /** Soon after all had settled, none of them did anything more. */
  readonly stopped: boolean;
}

/** Lines of what a user of the peer writes for that, without empty lines, comments and imports. */
export function linesOf(peer: string): number {
  const folder = new URL(`./${peer}/`, import.meta.url);
  return readdirSync(folder).reduce((sum, name) => sum + counted(readFileSync(new URL(name, folder), "utf8")), 0);
}

function counted(text: string): number {
  return text.split("\n").filter((line) => line.trim() !== "" && !/^\s*(\/\/|import )/.test(line)).length;
}
