/** Something that a measurement has to show, and whether it did. */
export interface Target {
  readonly what: string;
  readonly value: number;
  readonly atLeast?: number;
  readonly atMost?: number;
  readonly unit: string;
  readonly met: boolean;
}

export function atMost(what: string, value: number, limit: number, unit = ""): Target {
  return { what, value, atMost: limit, unit, met: value <= limit };
}

export function atLeast(what: string, value: number, limit: number, unit = ""): Target {
  return { what, value, atLeast: limit, unit, met: value >= limit };
}

export function targetLine({ what, value, atLeast, atMost, unit, met }: Target): string {
  const limit = atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`;
  return `${met ? "met   " : "MISSED"}  ${what}: ${short(value)}${unit} (${limit}${unit})\n`;
}

/** Three digits, or all of those before the point. */
export function short(value: number): string {
  return Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
