import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempDisposableSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { checkOut } from "../../load/lab/against.ts";
import { readResult } from "../../load/lab/results.ts";
import { run } from "../docs/run.ts";
import { eventually } from "../support/eventually.ts";

describe("another commit", () => {
  const git = (directory: string, ...args: string[]) =>
    execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t", ...args], { cwd: directory, encoding: "utf8" }).trim();

  test("is checked out beside the tree, with its packages, and is gone afterwards", async () => {
    using directory = mkdtempDisposableSync(join(tmpdir(), "lab-test-"));
    const project = directory.path;
    git(project, "init", "-q");
    mkdirSync(join(project, "src"));
    mkdirSync(join(project, "node_modules"));
    writeFileSync(join(project, "node_modules/package"), "installed");
    writeFileSync(join(project, ".gitignore"), "node_modules\n");
    writeFileSync(join(project, "package-lock.json"), "{}");
    for (const text of ["old", "new"]) {
      writeFileSync(join(project, "src/main.ts"), text);
      git(project, "add", ".");
      git(project, "commit", "-qm", text);
    }
    let script = "";
    {
      await using tree = await checkOut("HEAD~1", project);
      ({ script } = tree);
      expect(tree.name).toBe(git(project, "rev-parse", "--short", "HEAD~1"));
      expect(readFileSync(script, "utf8")).toBe("old");
      expect(readFileSync(join(script, "../../node_modules/package"), "utf8")).toBe("installed");
    }
    expect(existsSync(script)).toBe(false);
    // Nothing of the tree itself went with it.
    expect(readFileSync(join(project, "node_modules/package"), "utf8")).toBe("installed");
    expect(git(project, "worktree", "list").split("\n")).toHaveLength(1);
    await expect(checkOut("no-such-commit", project)).rejects.toThrow("--against no-such-commit: there is no such commit");
  });
});

describe.concurrent("the command", () => {
  const NODE = process.execPath;

  test("ends with 1 where a target is missed, else with 0", async () => {
    const script = (met: boolean) =>
      `import { runBench } from "./load/run-bench.ts"; runBench(async () => [{ what: "speed", value: 3, atLeast: 4, unit: "", met: ${met} }]);`;
    const [missed, met] = await Promise.all([false, true].map((met) => run(NODE, ["--input-type=module", "-e", script(met)])));
    expect(missed).toMatchObject({ code: 1, stdout: "\nMISSED  speed: 3 (at least 4)\n" });
    expect(met).toMatchObject({ code: 0, stdout: "\nmet     speed: 3 (at least 4)\n" });
  });

  test("writes what it measured", async () => {
    using directory = mkdtempDisposableSync(join(tmpdir(), "lab-test-"));
    const results = directory.path;
    const { code, stdout } = await run(NODE, [
      "load/lab/bench.ts",
      "storm",
      "--rounds",
      "1",
      "--seconds",
      "1",
      "--orders",
      "2",
      "--results",
      results,
    ]);
    const written = readResult(results, "storm");
    expect(code).toBe(written?.targets.every(({ met }) => met) ? 0 : 1);
    expect(written).toMatchObject({ name: "storm", settings: { rounds: 1, seconds: 1, orders: 2 }, machine: { node: process.version } });
    expect(stdout.match(/^(met|MISSED) /gm)).toHaveLength(written?.targets.length ?? 0);
  });

  test.for([
    ["bench", "express", "--peer", "localhost:8080"],
    ["bench", "journal-scale", "--against", "HEAD"],
    // No keys is what it does anyway, so only the other is refused.
    ["bench", "journal-scale", "--keys", "0", "--orders", "0"],
    ["stand-in", "--rates", "{"],
  ])("refuses what makes no sense, with the name of the option: %s", { timeout: 60_000 }, async ([command, ...args]) => {
    const script = command === "bench" ? "load/lab/bench.ts" : "load/stand-in/main.ts";
    const { code, stderr } = await run(NODE, [script, ...args]);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(/^[^\n]*--(peer|against|orders|rates)[^\n]* \(see --help\)\n$/),
    });
  });

  test.skipIf(!existsSync("/proc/self/stat"))("takes the service with it when it is stopped", async () => {
    const child = spawn(NODE, ["load/lab/bench.ts", "starvation", "--seconds", "600"], {
      stdio: "ignore",
      env: { PATH: process.env.PATH },
    });
    const childrenOf = (pid: number) => readdirSync("/proc").filter((id) => /^\d+$/.test(id) && statOf(id)?.includes(` ${pid} `));
    const statOf = (id: string): string | undefined => {
      try {
        // The state and the parent come behind the program's name.
        return /\) \w( \d+ )/.exec(readFileSync(`/proc/${id}/stat`, "utf8"))?.[1];
      } catch {
        return undefined;
      }
    };
    const children = await eventually(
      "the service and the busy loops",
      () => childrenOf(child.pid as number),
      (seen) => seen.length >= 2,
    );
    child.kill("SIGTERM");
    expect(await once(child, "exit")).toEqual([143, null]);
    await eventually("their end", () => children.every((id) => !existsSync(`/proc/${id}`)));
  });
});
