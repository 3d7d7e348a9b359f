import { expect, test } from "vitest";
import { neverSent } from "../../workers/providers/never-sent.ts";

const system = (code: string, syscall?: string) => Object.assign(new Error(code), syscall === undefined ? { code } : { code, syscall });
const fetchFailed = (cause?: unknown) => new TypeError("fetch failed", { cause });
const refused = system("ECONNREFUSED", "connect");
const brokenLater = system("ECONNRESET", "read");

test.each<[string, unknown]>([
  ["a refused connection", refused],
  ["an unknown name", system("ENOTFOUND", "getaddrinfo")],
  ["a name server that does not answer", system("EAI_AGAIN", "getaddrinfo")],
  ["an unreachable host", system("EHOSTUNREACH", "connect")],
  ["a connection that takes too long", system("UND_ERR_CONNECT_TIMEOUT")],
  ["every address refused", new AggregateError([refused, system("ENETUNREACH", "connect")])],
])("%s: nothing was sent", (_what, cause) => {
  expect(neverSent(fetchFailed(cause))).toBe(true);
});

test.each<[string, unknown]>([
  ["a reset", brokenLater],
  ["a write into a closed connection", system("EPIPE", "write")],
  ["a timeout of a connection in use", system("ETIMEDOUT", "read")],
  ["a host that became unreachable", system("EHOSTUNREACH", "read")],
  ["the other side closed", system("UND_ERR_SOCKET")],
  ["no head in time", system("UND_ERR_HEADERS_TIMEOUT")],
  ["one address of two broke later", new AggregateError([refused, brokenLater])],
  ["an aggregate of nothing", new AggregateError([])],
  ["no cause", undefined],
  ["a cause that is no error", "ECONNREFUSED"],
])("%s: nobody knows", (_what, cause) => {
  expect(neverSent(fetchFailed(cause))).toBe(false);
});

test("something that is no error: nobody knows", () => {
  expect(neverSent("ECONNREFUSED")).toBe(false);
});
