/** How often a thread says that it is alive: often enough that it may miss some before anybody suspects it, and cheap (a store). */
export const BEAT_EVERY_MS = 100;
/** A thread whose last beat is not older than this is alive: it may have missed one. */
export const ALIVE_MS = 200;

/** How often the main thread looks. */
export const LOOK_EVERY_MS = 500;
// Limits are counted in looks, not by the age of a beat: after the whole process was stopped (a laptop's sleep, SIGSTOP) every beat is
// old, and no thread is stuck.
/** So many looks without a beat in between are two seconds, twenty beats: the thread is stuck. */
export const STUCK_LOOKS = 4;
/**
 * How long a thread may take to load its worker file. It takes some tenths of a second; a shorter limit would, on a machine that is
 * starved of processor time, end threads that are about to be ready.
 */
export const START_TIMEOUT_MS = 30_000;
