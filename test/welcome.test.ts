import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import { wantsColors, welcome } from "../src/welcome.ts";

const STARTED = { api: "http://127.0.0.1:1234", admin: "http://127.0.0.1:5678", tookMs: 412 };

test("the page comes first, then the API, how long it took and what to try", () => {
  const text = welcome(STARTED, { colors: false });
  expect(text).toMatch(/^order pipeline is up after 0\.41 s\n/);
  const urls = [...text.matchAll(/http:\S+/g)].map(([url]) => url);
  expect(urls.slice(0, 2)).toEqual(["http://127.0.0.1:5678/", "http://127.0.0.1:1234"]);
  expect(text).toContain(`try    curl -s http://127.0.0.1:1234/order -d '{"order_id":"first","amount":1200}'\n`);
  expect(text).not.toContain("\u001b");
});

test("colors change nothing but the looks", () => {
  const text = welcome(STARTED, { colors: true });
  expect(text).toContain("\u001b[");
  expect(stripVTControlCharacters(text)).toBe(welcome(STARTED, { colors: false }));
});

describe("a terminal wants colors", () => {
  test.each([
    [{}, true],
    [{ TERM: "xterm" }, true],
    [{ NO_COLOR: "" }, true],
    [{ NO_COLOR: "0" }, false],
    [{ TERM: "dumb" }, false],
  ])("%j: %s", (environment, wanted) => {
    expect(wantsColors(environment)).toBe(wanted);
  });
});
