const BIGINT = 20;
const TEXT = 25;
const BIGINT_BYTES = 8;
const DIMENSIONS = 1;
const NO_FLAGS = 0;
const FIRST_INDEX = 1;
// Five numbers, and in front of each value its length.
const HEAD_BYTES = 20;
const LENGTH_BYTES = 4;
const NULL = -1;
const HIGH = 2 ** 32;

/** A column of rows as a parameter `bigint[]` of safe integers, in binary: neither side has digits to write and read. Null without rows. */
export function bigints<Row>(rows: readonly Row[], pick: (row: Row) => number | null): Buffer | null {
  if (rows.length === 0) return null;
  const values = rows.map(pick);
  const numbers = values.reduce<number>((count, value) => (value === null ? count : count + 1), 0);
  const buffer = arrayOf(BIGINT, values.length, numbers * BIGINT_BYTES);
  let offset = HEAD_BYTES;
  for (const value of values) {
    offset = buffer.writeInt32BE(value === null ? NULL : BIGINT_BYTES, offset);
    if (value === null) continue;
    offset = buffer.writeInt32BE(Math.floor(value / HIGH), offset);
    offset = buffer.writeUInt32BE(value >>> 0, offset);
  }
  return buffer;
}

/** A column of rows as a parameter `text[]`, in the binary form: neither side escapes the quotes of JSON. Null without rows. */
export function texts<Row>(rows: readonly Row[], pick: (row: Row) => string | null): Buffer | null {
  if (rows.length === 0) return null;
  const values = rows.map(pick);
  const bytes = values.reduce<number>((sum, value) => (value === null ? sum : sum + Buffer.byteLength(value)), 0);
  const buffer = arrayOf(TEXT, values.length, bytes);
  let offset = HEAD_BYTES;
  for (const value of values) {
    const length = value === null ? NULL : buffer.write(value, offset + LENGTH_BYTES);
    buffer.writeInt32BE(length, offset);
    offset += LENGTH_BYTES + Math.max(length, 0);
  }
  return buffer;
}

function arrayOf(type: number, count: number, bytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(HEAD_BYTES + count * LENGTH_BYTES + bytes);
  for (const [index, number] of [DIMENSIONS, NO_FLAGS, type, count, FIRST_INDEX].entries())
    buffer.writeInt32BE(number, index * LENGTH_BYTES);
  return buffer;
}

/** PostgreSQL has no text with NUL in it. What people and other servers wrote may have some; all else is JSON, or has a rule. */
export function withoutNul<Value>(value: Value): Value {
  return typeof value === "string" ? (value.replaceAll("\0", "\ufffd") as Value) : value;
}
