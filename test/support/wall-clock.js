// Preloaded with `--import` on every thread of a server. Its wall clock is as many milliseconds ahead as WALL_CLOCK_FILE says at that moment;
// timers and the monotonic clock go on as they are, but for pauses of a minute, which are short.
import { readFileSync } from "node:fs";

const FILE = process.env.WALL_CLOCK_FILE ?? "";
const READ_EVERY_MS = 10;
const MINUTE_MS = 60_000;
const SHORT_MS = 50;

const realNow = Date.now;
const realTimeout = globalThis.setTimeout;
let aheadMs = 0;
let readAtMs = Number.NEGATIVE_INFINITY;

function now() {
  const atMs = performance.now();
  if (atMs - readAtMs > READ_EVERY_MS) {
    readAtMs = atMs;
    aheadMs = Number(readFileSync(FILE, "utf8"));
  }
  return realNow() + aheadMs;
}

Date.now = now;
globalThis.Date = new Proxy(Date, {
  construct: (target, args) => (args.length === 0 ? new target(now()) : Reflect.construct(target, args)),
});
globalThis.setTimeout = Object.assign((work, ms, ...args) => realTimeout(work, ms === MINUTE_MS ? SHORT_MS : ms, ...args), realTimeout);
