import type { Call } from "./call.ts";
import { FAULT_MODES, type FaultRates } from "./fault-rates.ts";
import { randomFrom } from "./random.ts";

/** How the stand-in treats one request. */
export interface FaultMode {
  readonly type: (typeof FAULT_MODES)[number] | "answer";
  /** What it answers instead of the usual status, where it answers. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Before anything else. */
  readonly slowMs?: number;
  /** Before anything else, where a test says when. */
  readonly after?: Promise<unknown>;
  readonly lateMs?: number;
  readonly downMs?: number;
}

/** Draws a faultMode. The same seed, key and repetition always draw the same one. */
export function drawFaultMode(rates: FaultRates, seed: string, { key, nth }: Pick<Call, "key" | "nth">): FaultMode {
  const random = randomFrom(`${seed} ${nth} ${key}`);
  const within = ([least, most]: readonly [number, number]) => Math.round(least + random() * (most - least));
  const times = { lateMs: within(rates.lateMs), downMs: within(rates.downMs) };
  const slow = random() < rates.slow ? { slowMs: within(rates.slowMs) } : {};
  let left = random();
  for (const type of FAULT_MODES) {
    left -= rates[type];
    if (left < 0) return { type, ...times, ...slow, ...(type.startsWith("fail") && { status: rates.failStatus }) };
  }
  return { type: "answer", ...slow };
}
