/** Keeps the request as it is. */
export function forgetRequest(): void {}
