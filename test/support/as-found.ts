import { afterAll, beforeAll, expect } from "vitest";

/** What the next file in this process would notice, by name. */
function traits(): ReadonlyMap<string, unknown> {
  const globals = Object.entries(Object.getOwnPropertyDescriptors(globalThis)).filter(([, { value }]) => typeof value === "function");
  return new Map<string, unknown>([
    ["directory", process.cwd()],
    ...process.eventNames().map((event) => [`listeners of ${String(event)}`, process.listenerCount(event)] as const),
    ...Object.entries(process.env).map(([name, value]) => [`environment ${name}`, value] as const),
    ...globals.map(([name, { value }]) => [`global ${name}`, value] as const),
  ]);
}

// What the file loads may stay for good.
let found: ReturnType<typeof traits>;
beforeAll(() => {
  found = traits();
});

afterAll(() => {
  const left = traits();
  const changed = [...new Set([...found.keys(), ...left.keys()])].filter((name) => found.get(name) !== left.get(name));
  expect(changed, "what a file that shares its process leaves otherwise than it found it").toEqual([]);
});
