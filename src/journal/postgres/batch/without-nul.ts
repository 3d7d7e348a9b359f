/** PostgreSQL has no text with NUL in it. What people and other servers wrote may have some; all else is JSON, or has a rule. */
export function withoutNul<Value>(value: Value): Value {
  return typeof value === "string" ? (value.replaceAll("\0", "\ufffd") as Value) : value;
}
