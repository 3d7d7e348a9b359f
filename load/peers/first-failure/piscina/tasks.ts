import { setTimeout as sleep } from "node:timers/promises";
import { alive } from "../alive.ts";

export async function fails(ms: number) {
  await sleep(ms);
  throw new Error("boom");
}

export async function waits(ms: number) {
  for (let n = 0; n < ms; n += 5) {
    await sleep(5);
    alive("w");
  }
}

export function computes(ms: number) {
  for (const end = Date.now() + ms; Date.now() < end; ) alive("c");
}
