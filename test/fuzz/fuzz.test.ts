import { describe, expect, test } from "vitest";
import { seedOf } from "../support/seed.ts";
import { BadAnswer, checkAnswers } from "./answer-check.ts";
import { fuzzCase } from "./fuzz-case.ts";
import { fuzz } from "./fuzzer.ts";

const SEED = seedOf("SEED");
// A new seed each time; `npm run fuzz` sends as many as it is told.
const REQUESTS = 5_000;
// It works from the first moment to the last, so a machine that is busy otherwise makes it longer.
const LIMIT_MS = 300_000;

test(`${REQUESTS} requests that are wrong in all ways get answers of the contract and leave nothing behind (SEED=${SEED})`, {
  timeout: LIMIT_MS,
}, async () => {
  const { requests, statuses, mostRunning, stepsStarted, openFiles } = await fuzz({ seed: SEED, requests: REQUESTS });
  expect(requests).toBeGreaterThanOrEqual(REQUESTS);
  // A run that was turned away at the listener would have seen nothing.
  for (const status of [200, 400, 403, 404, 405, 409, 413, 431])
    expect([status, statuses.get(status)]).toEqual([status, expect.any(Number)]);
  expect(statuses.get(200)).toBeGreaterThan(REQUESTS / 100);
  expect(mostRunning).toBeGreaterThan(0);
  expect(stepsStarted).toBeGreaterThan(0);
  if (process.platform === "linux") expect(openFiles).toBeDefined();
});

test("a case of a seed is the same each time", () => {
  for (let n = 0; n < 200; n++) expect(fuzzCase(SEED, n)).toEqual(fuzzCase(SEED, n));
  expect(fuzzCase(SEED, 0).pieces).not.toEqual(fuzzCase(SEED, 1).pieces);
});

describe("an answer that breaks the contract is noticed:", () => {
  const answer = (status: string, body: string, headers = "X-Request-Id: a\r\nContent-Type: application/json\r\n") =>
    `HTTP/1.1 ${status}\r\n${headers}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  const error = (kind: string, more = "") => `{"status":"error","error":{"kind":"${kind}","message":"m"}${more}}`;
  const sent = Buffer.from("GET / HTTP/1.1\r\n\r\n");

  test.each([
    ["a fault of the server's", answer("500 Internal Server Error", error("internal"))],
    ["a kind with the status of another", answer("400 Bad Request", error("not_found"))],
    ["an unknown kind", answer("400 Bad Request", error("strange"))],
    ["no kind", answer("400 Bad Request", '{"status":"error"}')],
    ["a field that has no place", answer("400 Bad Request", error("bad_request", ',"stack":"x"'))],
    ["no JSON", answer("404 Not Found", "<html>")],
    ["no JSON by its name", answer("404 Not Found", error("not_found"), "X-Request-Id: a\r\nContent-Type: text/html\r\n")],
    ["no X-Request-Id", answer("404 Not Found", error("not_found"), "Content-Type: application/json\r\n")],
    ["no Allow", answer("405 Method Not Allowed", error("method_not_allowed"))],
    ["no Retry-After", answer("503 Service Unavailable", error("overloaded"))],
    ["an error under 200", answer("200 OK", error("bad_request"))],
    ["no status line", "HTTP/1.1 \r\n\r\n"],
    ["no length", "HTTP/1.1 404 Not Found\r\nX-Request-Id: a\r\n\r\n"],
    ["half an answer", answer("404 Not Found", error("not_found")).slice(0, -1)],
    ["bytes behind an answer", `${answer("404 Not Found", error("not_found"))}x`],
    [
      "a header twice",
      answer("404 Not Found", error("not_found"), "X-Request-Id: a\r\nX-Request-Id: b\r\nContent-Type: application/json\r\n"),
    ],
    ["a connection that stays", answer("431 Request Header Fields Too Large", error("headers_too_large"))],
  ])("%s", (_what, received) => {
    expect(() => checkAnswers(received, sent, true)).toThrow(BadAnswer);
    const good = answer("404 Not Found", error("not_found"));
    expect(() => checkAnswers(good + received, sent, true)).toThrow(BadAnswer);
    expect(checkAnswers(good + good, sent, true)).toHaveLength(2);
  });
});
