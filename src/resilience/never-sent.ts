/**
 * Whether an error of `node:http` means that not one byte of the request has left, so the provider cannot have acted.
 * Decides by the system call, not by the error code: a timeout or an unreachable host may also end a connection in use.
 */
export function neverSent(error: unknown): boolean {
  // Node tries all addresses of a host name, and gives one error for each.
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isBeforeConnected);
  return isBeforeConnected(error);
}

function isBeforeConnected(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { syscall } = error as { syscall?: unknown };
  return syscall === "connect" || syscall === "getaddrinfo";
}
