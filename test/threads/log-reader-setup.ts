import type { LayoutHandle } from "../../src/threads/layout.ts";

/** What the test gives a thread that reads the log. */
export interface ReaderSetup {
  readonly layout: LayoutHandle;
  /** One word a slot: 1 + index of the cause that the task of this slot heard of, 0 while there is none. */
  readonly heard: SharedArrayBuffer;
  /** Its words are named below. */
  readonly told: SharedArrayBuffer;
}

/** 1 when it listens. */
export const LISTENING = 0;
/** 1: before it waits for its bell the next time, the reader is held up until that has changed. Writer: the test. */
export const HOLD = 1;
/** How often it waited and was woken, and how often its bell had changed before it could wait. */
export const WOKEN = 2;
export const AWAKE = 3;
