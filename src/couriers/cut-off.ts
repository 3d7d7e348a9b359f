/** How long before a node may count as dead its courier calls end, beside the cancel grace: for late timers and the way to the socket. */
export const CUT_OFF_MS = 200;
