// Plain JavaScript, as all that runs on the threads of the peers: a thread that has to strip types starts more slowly, and some of them live
// on starting threads.
import { setTimeout as pause, setImmediate as turn } from "node:timers/promises";

const [STARTED, ACTED, ENDED, WORDS] = [0, 1, 2, 3];
const TURN_EVERY_MS = 1;

let times;

/** To be called once per thread, before `work`. */
export function noteIn(shared) {
  times = new Float64Array(shared);
}

/** The clock of `monotonicMs`. */
function nowMs() {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

/** How a task hears of its cancel where nothing tells it. */
const DEAF = { sleep: (ms) => pause(ms), checkpoint() {} };

export function hearing(signal) {
  return { sleep: (ms) => pause(ms, undefined, { signal }), checkpoint: () => signal.throwIfAborted() };
}

const KINDS = {
  empty() {},
  wait: (ms, _note, how) => how.sleep(ms),
  async fail(ms, _note, how) {
    await how.sleep(ms);
    throw new Error("failed");
  },
  async tick(ms, note, how) {
    const ticking = setInterval(note, 1);
    try {
      await how.sleep(ms);
    } finally {
      clearInterval(ticking);
    }
  },
  compute(ms, note, how) {
    for (const end = nowMs() + ms; note() < end; ) how.checkpoint();
  },
  async computeAwaiting(ms, note, how) {
    const end = nowMs() + ms;
    for (let turnAt = 0, now = nowMs(); now < end; now = note()) {
      how.checkpoint();
      if (now < turnAt) continue;
      await turn();
      turnAt = now + TURN_EVERY_MS;
    }
  },
};

/** Does a `Job`. Resolves with its kind, so that a lost value shows. */
export async function work({ kind, ms, cell }, how = DEAF) {
  const at = cell * WORDS;
  const note = () => {
    times[at + ACTED] = nowMs();
    return times[at + ACTED];
  };
  times[at + STARTED] = nowMs();
  try {
    await KINDS[kind](ms, note, how);
    return kind;
  } finally {
    times[at + ENDED] = note();
  }
}
