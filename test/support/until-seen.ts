import { setTimeout as pause } from "node:timers/promises";

const LOOK_EVERY_MS = 20;

/** Something that a random run must have seen before its result means anything. */
export interface Sight {
  readonly what: string;
  readonly atLeast: number;
  /** How often it has been seen so far. */
  readonly seen: () => number | Promise<number>;
}

export interface RandomRun {
  /** How many calls of `one` are under way at one time. */
  readonly clients: number;
  /** Looked at in this order, so one that is costly to look at goes last. */
  readonly sights: readonly Sight[];
  /** How long the run may take. Only a sight that never comes should ever meet this limit. */
  readonly limitMs: number;
}

/**
 * Calls `one` with 0, 1, 2 and so on until every sight has been seen and the last call has ended. How much a random run
 * sees in a given time or number of calls depends on the machine; a run that ends when it has seen enough does not.
 * Throws what `one` throws, and after `limitMs` an error that names what was not seen. Returns how often it called.
 */
export async function runUntilSeen({ clients, sights, limitMs }: RandomRun, one: (n: number) => Promise<void>): Promise<number> {
  const endMs = performance.now() + limitMs;
  let next = 0;
  let over = false;
  const client = async () => {
    while (!over) await one(next++);
  };
  const all = Promise.all(Array.from({ length: clients }, client));
  try {
    while (await isMissingOne(sights)) {
      if (performance.now() > endMs) throw new Error(`not seen within ${limitMs / 1000} s and ${next} calls: ${await missing(sights)}`);
      await Promise.race([all, pause(LOOK_EVERY_MS)]);
    }
  } finally {
    over = true;
    await all;
  }
  return next;
}

async function isMissingOne(sights: readonly Sight[]): Promise<boolean> {
  for (const { atLeast, seen } of sights) if ((await seen()) < atLeast) return true;
  return false;
}

async function missing(sights: readonly Sight[]): Promise<string> {
  const lines: string[] = [];
  for (const { what, atLeast, seen } of sights) {
    const count = await seen();
    if (count < atLeast) lines.push(`${what} (${count} of ${atLeast})`);
  }
  return lines.join(", ");
}
