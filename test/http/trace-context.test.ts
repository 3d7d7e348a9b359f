import { expect, test } from "vitest";
import { traceparentOf } from "../../src/http/trace-context.ts";

const IDS = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";

test.each([`00-${IDS}-01`, `00-${IDS}-00`, `cc-${IDS}-01`, `cc-${IDS}-01-what-comes-later`])("%s is passed on", (header) => {
  expect(traceparentOf(header)).toBe(header);
});

test.each([
  ["of version 00 and longer than that has", `00-${IDS}-01-more`],
  ["of version 00 with a dash at its end", `00-${IDS}-01-`],
  ["of the version that is forbidden", `ff-${IDS}-01`],
  ["with a trace id of zeros", `00-${"0".repeat(32)}-b7ad6b7169203331-01`],
  ["with a parent id of zeros", `00-0af7651916cd43dd8448eb211c80319c-${"0".repeat(16)}-01`],
  ["in capitals", `00-${IDS.toUpperCase()}-01`],
  ["that is cut short", `00-${IDS}-0`],
  ["with something before it", ` 00-${IDS}-01`],
  ["of a later version whose flags run on", `cc-${IDS}-011`],
  ["that came twice", [`00-${IDS}-01`, `00-${IDS}-01`]],
  ["that is missing", undefined],
])("one %s starts a new trace", (_, header) => {
  const first = traceparentOf(header);
  expect(first).toMatch(/^00-[\da-f]{32}-[\da-f]{16}-01$/);
  expect(first).not.toContain(IDS);
  expect(traceparentOf(header)).not.toBe(first);
});
