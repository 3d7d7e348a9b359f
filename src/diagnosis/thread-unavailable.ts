/** A thread that was to be looked into cannot be. The message is for operators. */
export class ThreadUnavailable extends Error {
  /**
   * `unknown`: there is none with that id. `ended`: it has ended meanwhile. `busy`: it computes, or has not gone back to its event
   * loop.
   */
  readonly reason: "unknown" | "ended" | "busy";

  constructor(reason: ThreadUnavailable["reason"], message: string) {
    super(message);
    this.reason = reason;
  }
}
