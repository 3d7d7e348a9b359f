// An answer to a call is some hundred bytes. Reading this much is cheaper than a new connection; more is not.
const MAX_BYTES = 64 * 1024;
// The body of an honest answer comes with its head. A guess, small beside an order's deadline.
const MAX_MS = 100;

/**
 * Reads an answer's body to its end and drops it, so that the connection can be used again. A body that is too long or
 * too slow costs its connection instead. Never throws: the status line has been read, and a body changes nothing in it.
 */
export async function discardBody(body: ReadableStream<Uint8Array> | null): Promise<void> {
  if (body === null) return;
  const reader = body.getReader();
  const giveUp = () => void reader.cancel().catch(() => {});
  const timer = setTimeout(giveUp, MAX_MS);
  try {
    for (let left = MAX_BYTES; left > 0; ) {
      const { done, value } = await reader.read();
      if (done) return;
      left -= value.byteLength;
    }
    giveUp();
  } catch {
    // Broken off halfway, or the order was canceled: the connection is gone already.
  } finally {
    clearTimeout(timer);
  }
}
