interface SystemError {
  readonly code?: unknown;
  readonly syscall?: unknown;
}

/**
 * Whether what `fetch` threw means that not one byte of the request has left, so the provider cannot have acted.
 * Goes by the system call, not by the code: a timeout or an unreachable host may also end a connection in use.
 */
export function neverSent(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof AggregateError) return cause.errors.length > 0 && cause.errors.every(isBeforeConnected);
  return isBeforeConnected(cause);
}

function isBeforeConnected(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false;
  const { code, syscall } = cause as SystemError;
  return syscall === "connect" || syscall === "getaddrinfo" || code === "UND_ERR_CONNECT_TIMEOUT";
}
