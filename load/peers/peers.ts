import type { Peer } from "./peer.ts";
import { cancelableThreads } from "./pools/cancelable-threads.ts";
import { piscina } from "./pools/piscina.ts";
import { poolifier } from "./pools/poolifier.ts";
import { tinypool } from "./pools/tinypool.ts";
import { transferableSignal } from "./pools/transferable-signal.ts";
import { workerATask } from "./pools/worker-a-task.ts";
import { workerPool } from "./pools/workerpool.ts";

/** The library under test. */
export const OWN = "cancelable-threads";

/** In the order of the table. The names are those of the folders in `first-failure`. */
export const PEERS: Readonly<Record<string, Peer>> = {
  [OWN]: cancelableThreads,
  piscina,
  tinypool,
  workerpool: workerPool,
  poolifier,
  "worker-a-task": workerATask,
  "transferable-signal": transferableSignal,
};
