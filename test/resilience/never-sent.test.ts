import { expect, test } from "vitest";
import { neverSent } from "../../src/resilience/post.ts";

const system = (code: string, syscall?: string) => Object.assign(new Error(code), syscall === undefined ? { code } : { code, syscall });
const refused = system("ECONNREFUSED", "connect");
const brokenLater = system("ECONNRESET", "read");

test.each<[string, unknown]>([
  ["a refused connection", refused],
  ["an unknown name", system("ENOTFOUND", "getaddrinfo")],
  ["a name server that does not answer", system("EAI_AGAIN", "getaddrinfo")],
  ["an unreachable host", system("EHOSTUNREACH", "connect")],
  ["a connection that takes too long", system("ETIMEDOUT", "connect")],
  ["every address refused", new AggregateError([refused, system("ENETUNREACH", "connect")])],
])("%s: nothing was sent", (_what, error) => {
  expect(neverSent(error)).toBe(true);
});

test.each<[string, unknown]>([
  ["a reset", brokenLater],
  ["a write into a closed connection", system("EPIPE", "write")],
  ["a timeout of a connection in use", system("ETIMEDOUT", "read")],
  ["a host that became unreachable", system("EHOSTUNREACH", "read")],
  ["the other side closed", system("ECONNRESET")],
  ["no HTTP", system("HPE_INVALID_CONSTANT")],
  ["one address of two broke later", new AggregateError([refused, brokenLater])],
  ["an aggregate of nothing", new AggregateError([])],
  ["nothing thrown", undefined],
  ["something that is no error", "ECONNREFUSED"],
])("%s: nobody knows", (_what, error) => {
  expect(neverSent(error)).toBe(false);
});
