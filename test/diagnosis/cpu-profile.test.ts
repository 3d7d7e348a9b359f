import { startCpuProfile } from "node:v8";
import { expect, test } from "vitest";
import { mendProfile } from "../../src/diagnosis/thread-inspector.ts";

const NODE = '{"nodes":[{"callFrame":{"functionName":"';
const REST = '","lineNumber":-1}},{"callFrame":{"functionName":"f","lineNumber":2}}]}';

test.each(["RegExp: ^[^/\\\\%]+\\d", 'RegExp: "\\w*?"', 'RegExp: ","line', "(idle)"])("a profile with the name %s is JSON", (name) => {
  const { nodes } = JSON.parse(mendProfile(NODE + name + REST));
  expect(nodes.map(({ callFrame }: { callFrame: { functionName: string } }) => callFrame.functionName)).toEqual([name, "f"]);
});

test("one that V8 took beside regular expressions is JSON", () => {
  const profile = startCpuProfile();
  const text = `"a${"a".repeat(2_000)}"`;
  for (const endMs = performance.now() + 100; performance.now() < endMs; ) text.replace(/"\w*?\d"/g, "");
  expect(JSON.parse(mendProfile(profile.stop())).nodes.length).toBeGreaterThan(1);
});
