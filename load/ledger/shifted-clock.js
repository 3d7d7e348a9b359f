// Preloaded into the service: its wall clock is ahead of the machine's by as many milliseconds as the file CLOCK_FILE says. JavaScript, because
// this file is loaded into every thread before the cache for stripped types.
import { readFileSync } from "node:fs";

// Often enough for a jump to be seen at once, seldom enough to cost nothing.
const LOOK_EVERY_MS = 20;

const file = process.env.CLOCK_FILE ?? "";
const MachineDate = Date;
const machineNow = Date.now.bind(Date);
let aheadMs = 0;
let lookedAtMs = Number.NEGATIVE_INFINITY;

function now() {
  const atMs = performance.now();
  if (atMs - lookedAtMs >= LOOK_EVERY_MS) {
    lookedAtMs = atMs;
    try {
      aheadMs = Number(readFileSync(file, "utf8")) || 0;
    } catch {
      // It is being written.
    }
  }
  return machineNow() + aheadMs;
}

globalThis.Date = class ShiftedDate extends MachineDate {
  constructor(...args) {
    if (args.length === 0) super(now());
    else super(...args);
  }

  static now() {
    return now();
  }
};
