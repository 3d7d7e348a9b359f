/** @import { EndedAs } from "../../../admin/live/messages.ts" */

// Moments are milliseconds on the server's monotonic clock.

/**
 * @typedef {object} Lane a place in a pool, for one thread after another
 * @property {"main" | "journal" | "shared" | "exclusive"} pool
 * @property {number} subs how many bars are drawn beside each other
 * @property {Bar[][]} packed by sub-lane
 * @property {LaneThread[]} threads the last one is alive unless it has an end
 * @property {Sample[]} samples
 *
 * @typedef {object} LaneThread
 * @property {number} id
 * @property {number} from
 * @property {number} [to]
 * @property {string} [reason]
 *
 * @typedef {object} Sample
 * @property {number} at
 * @property {number} level steps that run; of the main thread its utilization, of the journal its commits
 * @property {number} other age of the heartbeat; of the main thread its longest delay, of the journal its requests
 *
 * @typedef {object} Bar a step
 * @property {Lane} lane
 * @property {number} sub
 * @property {number} from
 * @property {number} to of a step that still runs the latest moment at which the server reported it
 * @property {number} step its index in `Hello.steps`
 * @property {string} status a step's status, `running`, or `ended` for a step that has ended while its order has not
 * @property {string | null} compensated
 * @property {number} thread
 * @property {{ readonly id: string, readonly attempt: number, readonly kind: EndedAs | "running" }} order
 */

/**
 * An empty lane.
 *
 * @param {Lane["pool"]} pool
 * @param {number} [subs]
 * @returns {Lane}
 */
export function newLane(pool, subs = 1) {
  return { pool, subs, packed: Array.from({ length: subs }, () => []), threads: [], samples: [] };
}

/**
 * Puts a bar into its lane: into the first sub-lane with room, or else into the one where it covers least.
 *
 * @param {Bar} bar
 */
export function pack(bar) {
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (const [sub, bars] of bar.lane.packed.entries()) {
    let covered = 0;
    for (const other of bars) covered += Math.max(0, Math.min(bar.to, other.to) - Math.max(bar.from, other.from));
    if (covered < least) [best, least] = [sub, covered];
    if (covered === 0) break;
  }
  bar.sub = best;
  bar.lane.packed[best]?.push(bar);
}
