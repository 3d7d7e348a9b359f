import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { openApiDocument } from "../../src/http/openapi/document.ts";

const IS_ABSENT = spawnSync("python3", ["--version"]).status !== 0;
/** Loads the document and prints how many patterns it has, which all are Python's too. */
const COMPILE_PATTERNS = `
import json, re, sys
patterns = []
json.load(sys.stdin, object_hook=lambda one: patterns.append(one.get("pattern")))
print(len([re.compile(one) for one in patterns if isinstance(one, str)]))`;

test.skipIf(IS_ABSENT).each([true, false])(
  `Python loads the document and can read every pattern, with providers simulated: %s${IS_ABSENT ? " (skipped: no python3)" : ""}`,
  (simulated) => {
    const json = JSON.stringify(openApiDocument(simulated));
    const python = (input: string) => spawnSync("python3", ["-c", COMPILE_PATTERNS], { input, encoding: "utf8" });
    const { stdout, stderr } = python(json);
    expect(stderr).toBe("");
    expect(Number(stdout)).toBeGreaterThan(1);
    expect(python(json.replace('"pattern":"', '"pattern":"\\\\p{Cc}')).stderr).toMatch(/bad escape \\p/);
  },
);
