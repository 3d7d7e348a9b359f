import { randomUUID } from "node:crypto";

const ACCEPTABLE = /^[\x21-\x7e]{1,128}$/;

export function requestIdOf(header: string | string[] | undefined): string {
  return typeof header === "string" && ACCEPTABLE.test(header) ? header : newRequestId();
}

/** `newRequestId` by the standard library. */
export function newRequestId(): string {
  return randomUUID();
}
