/** A code such as ECONNREFUSED, or the class of what was thrown. Not its message, which may quote what was sent or received. */
export function reasonOf(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return String(code ?? name);
}
