import type { Readable } from "node:stream";

/** How much of an answer's body is worth reading to keep its connection. */
export interface BodyLimits {
  readonly maxBytes: number;
  /** From the head of the answer on, 1 to 2^31-1. Without it only a cancel of the call ends a slow body. */
  readonly maxMs?: number;
}

/**
 * Reads an answer's body to its end and drops it, so that the connection can be used again. Closes the connection if the body is too long
 * or too slow. Never rejects, because the status has been read and the body does not change it.
 */
export function discardBody(body: Readable, { maxBytes, maxMs }: BodyLimits): Promise<void> {
  return new Promise((resolve) => {
    let left = maxBytes;
    const timer = maxMs === undefined ? undefined : setTimeout(() => body.destroy(), maxMs);
    body.on("data", (chunk: Buffer) => {
      left -= chunk.byteLength;
      if (left < 0) body.destroy();
    });
    // The connection broke, or the call was canceled: there is nothing left to close.
    body.on("error", () => {});
    body.on("close", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
