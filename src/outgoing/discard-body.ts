import type { Readable } from "node:stream";

/** How much of an answer's body is worth reading to keep its connection. */
export interface BodyLimits {
  readonly maxBytes: number;
  /** From the head of the answer on, 1 to 2^31-1. Without it only whoever cancels the call ends a body that trickles. */
  readonly maxMs?: number;
}

/**
 * Reads an answer's body to its end and drops it, so that the connection can be used again. A body that is too long or
 * too slow costs its connection instead. Never rejects: the status line has been read, and a body changes nothing in it.
 */
export function discardBody(body: Readable, { maxBytes, maxMs }: BodyLimits): Promise<void> {
  return new Promise((resolve) => {
    let left = maxBytes;
    const timer = maxMs === undefined ? undefined : setTimeout(() => body.destroy(), maxMs);
    body.on("data", (chunk: Buffer) => {
      left -= chunk.byteLength;
      if (left < 0) body.destroy();
    });
    // Broken off halfway, or the call was canceled: the connection is gone already.
    body.on("error", () => {});
    body.on("close", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
