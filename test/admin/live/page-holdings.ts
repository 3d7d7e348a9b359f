import type { Page } from "playwright-core";

/** What a page holds after a forced collection. */
export interface Holdings {
  readonly heapBytes: number;
  /** Of the document, and those that are out of it and still held. */
  readonly nodes: number;
  readonly listeners: number;
}

/** Collects what can be collected, and says what is left. Chromium only. */
export async function holdings(page: Page): Promise<Holdings> {
  const session = await page.context().newCDPSession(page);
  try {
    // What the first collection finalizes only the second one frees.
    for (let n = 0; n < 2; n++) await session.send("HeapProfiler.collectGarbage");
    const { usedSize } = await session.send("Runtime.getHeapUsage");
    const { nodes, jsEventListeners } = await session.send("Memory.getDOMCounters");
    return { heapBytes: usedSize, nodes, listeners: jsEventListeners };
  } finally {
    await session.detach();
  }
}
