import type { Server } from "node:http";
import type { Socket } from "node:net";
import { setImmediate as nextTurn, setTimeout as pause } from "node:timers/promises";

// A request that was sent before its client could know that this server ends arrives within this time.
const MIN_LINGER_MS = 200;
// A balancer uses each of its idle connections within this time, and the answer ends the connection. A connection that is idle for longer
// is closed although its client may be about to use it, so this is longer than the pauses in any real load.
const MAX_LINGER_MS = 500;
// These times pass in steps, between which the event loop reads what has arrived, and a stall of the process counts as one step. After a
// stall a timer fires first, with requests that came meanwhile unread; and if the whole machine was stalled, no client could send any.
const STEP_MS = 20;
// The kernel queues 511 connections for a listener, and Node accepts one a turn.
const MAX_ACCEPT_TURNS = 512;
// An idle turn takes a tenth of this. A connection that arrives between a turn's poll and the close is lost, so the last turn has to be
// short.
const QUIET_TURN_MS = 0.2;

/**
 * Resolves when no connection is left and requests on their way have arrived, after half a second at the latest, or when `hurry` is
 * aborted. Call it once every answer ends its connection: closed under a request, it loses that request, and the client cannot know whether
 * it was executed.
 */
export async function untilUnused(server: Server, hurry: AbortSignal): Promise<void> {
  if ((await countOf(server)) === 0) return;
  for (let lingeredMs = STEP_MS; ; lingeredMs += STEP_MS) {
    await pause(STEP_MS, undefined, { signal: hurry }).catch(() => {});
    if (hurry.aborted || lingeredMs > MAX_LINGER_MS || (lingeredMs > MIN_LINGER_MS && (await countOf(server)) === 0)) return;
  }
}

/**
 * Accepts the connections that wait in the kernel, which resets them when the listening socket is closed. Resolves right after a turn of
 * the event loop without a connection or other work.
 */
export async function acceptWaiting(server: Server): Promise<void> {
  let accepted = false;
  const onConnection = () => {
    accepted = true;
  };
  server.on("connection", onConnection);
  // The event loop polls the kernel once before the first turn that counts.
  await nextTurn();
  for (let turns = 0; turns < MAX_ACCEPT_TURNS; turns++) {
    accepted = false;
    const startMs = performance.now();
    await nextTurn();
    if (!accepted && performance.now() - startMs < QUIET_TURN_MS) break;
  }
  server.off("connection", onConnection);
}

/** The connections that a server accepts from now on. Node takes those that have sent nothing yet for idle ones, and ends them. */
export class Newcomers {
  readonly #sockets = new Set<Socket>();

  constructor(server: Server) {
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  /** Resolves when each of them has sent something or is closed, or when a request that was on its way has arrived. */
  async heard(): Promise<void> {
    for (let waitedMs = 0; waitedMs < MIN_LINGER_MS && this.#hasSilentOne(); waitedMs += STEP_MS) await pause(STEP_MS);
  }

  #hasSilentOne(): boolean {
    for (const { bytesRead } of this.#sockets) if (bytesRead === 0) return true;
    return false;
  }
}

/** Calls back once the process has run for `ms`, and has read what had arrived by then. Returns how to stop it. */
export function afterRunning(ms: number, callback: () => void): () => void {
  let leftMs = ms;
  const timer = setInterval(() => {
    leftMs -= STEP_MS;
    if (leftMs > 0) return;
    clearInterval(timer);
    setImmediate(callback);
  }, STEP_MS);
  return () => clearInterval(timer);
}

function countOf(server: Server): Promise<number> {
  return new Promise((resolve) => server.getConnections((error, count) => resolve(error ? 0 : count)));
}
