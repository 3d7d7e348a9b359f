import type { Server } from "node:http";
import { setImmediate as nextTurn, setTimeout as pause } from "node:timers/promises";

/** Whether a listener's connections are to end. What it says is looked at with every answer. */
export interface Connections {
  ending: boolean;
}

// What was sent before its sender could know that this server ends has arrived within this time.
const MIN_LINGER_MS = 200;
// A balancer finds another use for each of its idle connections within this time, and an answer on one ends it. What is idle for longer
// is closed while its client may be about to use it, so this is longer than the pauses in any load worth the name.
const MAX_LINGER_MS = 500;
const LOOK_EVERY_MS = 20;
// A kernel holds 511 connections for a listener, of which Node takes one a turn.
const MAX_ACCEPT_TURNS = 512;
// A turn in which nothing happens takes a tenth of that. What arrives after a turn's poll and before the close is lost, so the turn
// has to be short.
const QUIET_TURN_MS = 0.2;

/**
 * Resolves when nobody uses `server` any more: at once where it has no connection, otherwise when none is left and what was on its way has
 * come, after half a second at the latest or when `hurry` is aborted. To be used once every answer ends its connection: one that is
 * closed while a request is on its way loses that request, and its client cannot know whether it was dealt with.
 */
export async function untilUnused(server: Server, hurry: AbortSignal): Promise<void> {
  if ((await countOf(server)) === 0) return;
  const startMs = performance.now();
  for (;;) {
    await pause(LOOK_EVERY_MS, undefined, { signal: hurry }).catch(() => {});
    const lingeredMs = performance.now() - startMs;
    if (hurry.aborted || lingeredMs > MAX_LINGER_MS || (lingeredMs > MIN_LINGER_MS && (await countOf(server)) === 0)) return;
  }
}

/**
 * Takes in the connections that wait in the kernel, for those that a listening socket leaves behind when it is closed are reset. Resolves
 * right after a turn of the event loop in which there was none, nor anything else to do.
 */
export async function acceptWaiting(server: Server): Promise<void> {
  let accepted = false;
  const onConnection = () => {
    accepted = true;
  };
  server.on("connection", onConnection);
  // Between this and the first look of the loop there is a poll of the kernel.
  await nextTurn();
  for (let turns = 0; turns < MAX_ACCEPT_TURNS; turns++) {
    accepted = false;
    const startMs = performance.now();
    await nextTurn();
    if (!accepted && performance.now() - startMs < QUIET_TURN_MS) break;
  }
  server.off("connection", onConnection);
}

function countOf(server: Server): Promise<number> {
  return new Promise((resolve) => server.getConnections((error, count) => resolve(error ? 0 : count)));
}
