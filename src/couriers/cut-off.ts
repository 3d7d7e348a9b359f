/**
 * Before a node may count as dead it ends its courier calls, so long before, beside the cancel grace: for the look at the time, for timers that
 * fire late, and for the cancel to reach the thread and the socket.
 */
export const CUT_OFF_MS = 200;
