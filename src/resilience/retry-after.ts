// A receiver's mistake (a date of next year, microseconds) must not hold events until they expire. An hour covers the usual hourly quotas.
export const MAX_RETRY_AFTER_MS = 3_600_000;

/** How long a `Retry-After` header (whole seconds or an HTTP date) asks to wait, an hour at most; undefined when it says nothing usable. */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  const text = header?.trim() ?? "";
  if (/^\d+$/.test(text)) return Math.min(MAX_RETRY_AFTER_MS, Number(text) * 1000);
  // `Date.parse` accepts almost any text. HTTP dates of all three forms begin with the name of a day.
  if (!/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text)) return undefined;
  // The asctime form names no zone and means GMT.
  const atMs = Date.parse(text.endsWith("GMT") ? text : `${text} GMT`);
  if (Number.isNaN(atMs)) return undefined;
  return Math.min(MAX_RETRY_AFTER_MS, Math.max(0, atMs - nowMs));
}
