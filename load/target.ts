/** Something that a benchmark has to show, and whether it did. */
export interface Target {
  readonly text: string;
  readonly met: boolean;
}

export function atMost(what: string, value: number, limit: number, unit = ""): Target {
  return { text: `${what}: ${short(value)}${unit} (at most ${limit}${unit})`, met: value <= limit };
}

export function atLeast(what: string, value: number, limit: number, unit = ""): Target {
  return { text: `${what}: ${short(value)}${unit} (at least ${limit}${unit})`, met: value >= limit };
}

export function targetLine({ text, met }: Target): string {
  return `${met ? "met   " : "MISSED"}  ${text}\n`;
}

function short(value: number): string {
  return value >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
