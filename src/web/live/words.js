const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/**
 * A number in few digits: 12 345, 12.3, 0.12.
 *
 * @param {number | null | undefined} value
 */
export function short(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 100) return WHOLE.format(value).replaceAll(",", "\u202f");
  if (size >= 10) return String(Math.round(value * 10) / 10);
  return String(Math.round(value * 100) / 100);
}

/** @param {number} ms */
export function duration(ms) {
  if (ms < 1) return `${Math.round(ms * 1_000)} µs`;
  if (ms < 10_000) return `${short(ms)} ms`;
  return age(ms / 1_000);
}

/** @param {number} seconds */
export function age(seconds) {
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 6_000) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3_600) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** An amount in minor units. @param {number} amount */
export function money(amount) {
  return (amount / 100).toLocaleString("en", { minimumFractionDigits: 2 });
}

/** @param {number} bytes */
export function bytes(bytes) {
  return bytes < 1e6 ? `${short(bytes / 1e3)} kB` : `${short(bytes / 1e6)} MB`;
}

/** @param {Date} date */
export function timeOfDay(date) {
  return date.toLocaleTimeString("en-GB");
}

/** Date and time of day where the reader is. @param {string} iso */
export function localTime(iso) {
  return new Date(iso).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
}

/** @param {string} kind `payment_declined` and the like */
export function spoken(kind) {
  return kind.replaceAll("_", " ");
}

/**
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 */
export function counted(count, one, many = `${one}s`) {
  return `${short(count)} ${count === 1 ? one : many}`;
}
