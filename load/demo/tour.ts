import { readCounters } from "../thread-counters.ts";
import { OUTCOMES, type Outcome } from "./outcomes.ts";
import { type Played, play, type Stage } from "./play.ts";

export interface TourOptions {
  /** All six by default. */
  readonly outcomes?: readonly Outcome[];
  readonly write: (text: string) => void;
  /** Makes a title stand out. */
  readonly bold?: (text: string) => string;
  /** Aborted: the outcome that is being played is the last one. */
  readonly signal: AbortSignal;
}

/** Plays outcome after outcome and tells of each. Gives how many were not what they say. */
export async function tour(stage: Stage, { outcomes = OUTCOMES, write, bold = (text) => text, signal }: TourOptions): Promise<number> {
  let wrong = 0;
  for (const [n, outcome] of outcomes.entries()) {
    if (signal.aborted) break;
    write(`${bold(`${n + 1}. ${outcome.name}`)}\n   ${outcome.explained}\n`);
    const played = await play(outcome, stage);
    write(`   ${describe(outcome, played)}\n`);
    for (const fault of played.faults) write(`   FAULT: ${fault}\n`);
    write("\n");
    if (played.faults.length > 0) wrong++;
  }
  write(`${await threadsOf(stage)}\n`);
  return wrong;
}

/** `400 payment_declined after 104 ms: payment failed, vendor stopped, courier stopped; 2 steps stopped, 93 us each`. */
function describe(outcome: Outcome, { order, tookMs, canceled, cancelMicros }: Played): string {
  const answer = outcome.hangsUpAfterMs === undefined ? `${outcome.status} ${outcome.kind ?? "ok"}` : "No answer";
  const steps = order.steps?.map(
    ({ name, status, compensation }) => `${name} ${WORDS[status]}${compensation === undefined ? "" : " and compensated"}`,
  );
  const cancels =
    canceled === 0 ? "" : `\n   Stopped: ${canceled} ${canceled === 1 ? "step" : "steps"}, ${cancelMicros.toFixed(0)} us after the cause`;
  return `${answer} after ${tookMs.toFixed(0)} ms: ${steps?.join(", ")}${cancels}`;
}

const WORDS = { ok: "done", error: "failed", canceled: "stopped" } as const;

async function threadsOf({ admin }: Stage): Promise<string> {
  const { threads, replaced, started, finished, running } = await readCounters(admin);
  const leaked = started - finished - running;
  return `Threads: ${threads.length} alive, ${replaced} replaced. Steps: ${started} started, ${running} running, ${leaked} leaked.`;
}
