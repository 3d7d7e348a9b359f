import type { Browser, Page } from "playwright-core";

interface TraceEvent {
  readonly name: string;
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  /** Of a complete event: microseconds on the clock of its thread, which stands still while the thread has no processor. */
  readonly tdur?: number;
  readonly args?: { readonly name?: string };
}

/**
 * How long the longest turn of a page's main thread took while `work` ran, in milliseconds of processor time. No event can be answered
 * in the midst of a turn. Chromium only.
 */
export async function longestTurnMs(browser: Browser, page: Page, work: () => Promise<unknown>): Promise<number> {
  await browser.startTracing(page, { categories: ["toplevel", "disabled-by-default-devtools.timeline"] });
  let events: readonly TraceEvent[] = [];
  try {
    await work();
  } finally {
    events = JSON.parse((await browser.stopTracing()).toString("utf8")).traceEvents;
  }
  const mainThreads = new Set(
    events.filter(({ name, args }) => name === "thread_name" && args?.name === "CrRendererMain").map(({ pid, tid }) => `${pid} ${tid}`),
  );
  const turns = events.filter(({ name, ph, pid, tid }) => name === "RunTask" && ph === "X" && mainThreads.has(`${pid} ${tid}`));
  return Math.max(0, ...turns.map(({ tdur }) => (tdur ?? 0) / 1_000));
}
