import { describe, expect, test } from "vitest";
import { withProcessOfItsOwn } from "../process-of-its-own.ts";

const own = (text: string, support = "") =>
  withProcessOfItsOwn(
    new Map([
      ["test/x.test.ts", `import { a } from "./support.ts";\n${text}`],
      ["test/support.ts", support],
    ]),
  ).length === 1;

describe("a file of tests has a process of its own", () => {
  test.each([
    'process.on("worker", note);',
    'process.removeAllListeners("warning");',
    "process.env.TZ = zone;",
    "expect(process.memoryUsage().rss);",
    "globalThis.setTimeout = counted;",
    'import { Worker } from "node:worker_threads";',
    'import { setFlagsFromString } from "node:v8";',
  ])("where it, or what it loads, does so: %s", (text) => {
    expect([own(text), own("", text)]).toEqual([true, true]);
  });

  test("where it replaces modules, or loads hooks that only the first to load them would have", () => {
    expect([own('vi.mock("./a.ts");'), own("", "afterAll(() => server.close());")]).toEqual([true, true]);
  });

  test.each([
    "afterAll(() => server.close());",
    'server.process.once("exit", note);',
    'process.kill(pid, "SIGKILL");',
    "const seed = process.env.SEED;",
    'if (process.env.SEED === "1") return;',
    'import { spawn } from "node:child_process";',
  ])("and not where it does so: %s", (text) => {
    expect(own(text)).toBe(false);
  });
});
