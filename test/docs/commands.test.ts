import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { experimentNamed, experimentNames } from "../../load/lab/experiments.ts";
import { AccessKeys } from "../../src/http/access-keys.ts";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { postOrder, send, threadsPage } from "../support/http-client.ts";
import { seedOf } from "../support/seed.ts";
import { COMMANDS, type Command, ELSEWHERE, GUIDE, inlineCommandsOf } from "./commands.ts";
import { CODE_BLOCKS, EVERYTHING, PROJECT, SCRIPTS } from "./pages.ts";
import { entryPoints, helpFaultOf, ours, type Ran, run } from "./run.ts";
import { EXPERIMENTS, SMALL_RUNS } from "./small-runs.ts";

// On a busy machine an order may be slower than the page shows and end in another way. A fault of the page shows in every try.
const TRIES = 10;

const has = async (program: string): Promise<boolean> => {
  const { code } = await run("sh", ["-c", `command -v ${program}`]);
  return code === 0;
};
const [hasCurl, hasSqlite, hasOpenssl] = await Promise.all(["curl", "sqlite3", "openssl"].map(has));

const isRequest = ({ text }: Command) => text.startsWith("curl ");
const isOfOrder = (command: Command) => isRequest(command) && command.prints !== undefined;
const isOfDiagnosis = ({ text }: Command) => /^curl .*http:\/\/127\.0\.0\.1:9090\/debug\//.test(text);
const ofJournal = COMMANDS.filter(({ text }) => text.startsWith("sqlite3 "));
const ofKeys = CODE_BLOCKS.filter(({ text }) => text.includes("sha256sum"));
const ofNpx = COMMANDS.filter(({ text }) => text.startsWith("npx node "));

/** Whether a test runs this command: one of this file or test/docs/try-it.test.ts, as it stands; another as `commands.ts` says. */
function isRun(command: Command): boolean {
  const { text } = command;
  if (GUIDE.includes(command) || isOfOrder(command) || isOfDiagnosis(command)) return true;
  if (ofJournal.includes(command) || ofNpx.includes(command) || ofKeys.some((block) => block.text.includes(text))) return true;
  const [, name = "", args = ""] = /^npm (?:run )?([a-z]+(?:[:-][a-z]+)*)(?: -- (.+))?$/.exec(text) ?? [];
  // test/docs/slow.ts asks every script that runs a file of ours, and this file some of them.
  if (args === "--help") return entryPoints(SCRIPTS[name] ?? "").length > 0;
  const [experiment = "", ...options] = args.split(" ");
  if (name === "bench" && options.join() === "--help") return experiment in EXPERIMENTS;
  const small = name === "bench" ? EXPERIMENTS[experiment] : SMALL_RUNS[name];
  if (small !== undefined && (args.match(/--[\w-]+/g) ?? []).every((option) => small.includes(option))) return true;
  // `npm test` runs all that lies there.
  const [, tests] = /^npx vitest run --config test\/vitest\.config\.ts (test\/\S+)$/.exec(text) ?? [];
  return tests !== undefined ? existsSync(join(PROJECT, tests)) : text in ELSEWHERE;
}

test("every command is run by a test", () => {
  expect(COMMANDS.filter((command) => !isRun(command))).toEqual([]);
  expect(COMMANDS.filter(isOfOrder).length).toBeGreaterThanOrEqual(7);
  expect(COMMANDS.filter(isOfDiagnosis).length).toBeGreaterThanOrEqual(2);
  expect(ofJournal.length).toBeGreaterThanOrEqual(2);
  expect(ofKeys).toHaveLength(1);
  expect(ofNpx).toHaveLength(1);
});

test("what runs a command elsewhere is there, and no page has lost the command", () => {
  expect(Object.keys(ELSEWHERE).filter((text) => !COMMANDS.some((command) => command.text === text))).toEqual([]);
  const gone = Object.values(ELSEWHERE).filter(({ file, shows }) => !readFileSync(join(PROJECT, file), "utf8").includes(shows));
  expect(gone).toEqual([]);
});

test("a command that nobody runs is found", () => {
  const markdown =
    "`npm run bench -- new` or `LOG_LEVEL=debug npm run start:all`, `npm run load -- --unheard-of 1`, `curl -I http://127.0.0.1:8080/`, `npm`";
  const found = inlineCommandsOf(markdown).map((text) => ({ page: "new.md", text }));
  expect(found).toHaveLength(4);
  expect(found.filter(isRun)).toEqual([]);
});

test.concurrent.each(ofNpx)("$text finds the project's own Node, without npm start around it", async ({ text }) => {
  expect(await run("sh", ["-c", `${text} --help`])).toMatchObject({ code: 0, stdout: expect.stringContaining("usage: npm start") });
});

const HELP_SEED = seedOf("HELP_SEED");

test.concurrent(`scripts that a seed draws answer --help with their own names, and do nothing else (HELP_SEED=${HELP_SEED})`, async () => {
  expect(ours.length).toBeGreaterThan(12);
  const drawn = Array.from({ length: 3 }, (_, n) => ours[(HELP_SEED + n * 7) % ours.length] as string);
  expect((await Promise.all(["start", ...drawn].map(helpFaultOf))).filter((fault) => fault !== undefined)).toEqual([]);
});

const BENCH = "load/lab/bench.ts";

test.concurrent("every experiment is in the list with its question, and answers --help with its own name", async () => {
  const { stdout } = await run(process.execPath, [BENCH]);
  for (const name of experimentNames()) {
    const { question } = await experimentNamed(name);
    expect(stdout).toMatch(new RegExp(`^  ${name} +${RegExp.escape(question)}$`, "m"));
  }
  const { code, stdout: help, stderr } = await run(process.execPath, [BENCH, "journal", "--help"]);
  expect({ code, stderr, help }).toMatchObject({ code: 0, stderr: "", help: expect.stringContaining("usage: npm run bench -- journal ") });
});

test.concurrent("the lab names an experiment and an option that it does not know, and a size that is none", async () => {
  const wrong = [["journals"], ["cancel", "--nonsense"], ["cancel", "--orders", "few"]];
  const [missing, unknown, none] = await Promise.all(wrong.map((args) => run(process.execPath, [BENCH, ...args])));
  expect(missing).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(/^there is no experiment "journals"[^\n]*\n$/) });
  expect(unknown).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(/^[^\n]*--nonsense[^\n]*\n$/) });
  expect(none).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(/^--orders few: must be a whole number[^\n]*\n$/) });
});

describe.skipIf(process.platform === "win32")("a service as npm start has it", () => {
  let directory: string;
  let server: ChildServer;
  let ports: { port: number; adminPort: number };
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "commands-"));
    const settings = { JOURNAL: join(directory, "data/orders.db"), THREADS: "2", CPU_THREADS: "1", LOG_LEVEL: "info" };
    server = new ChildServer(settings, ["npm", "start", "--silent"]);
    ports = await server.ports();
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Runs a command where the journal is, or elsewhere, at the service's own ports. */
  const runHere = (text: string, cwd = directory): Promise<Ran> => {
    const { port, adminPort } = ports;
    return run(
      "sh",
      ["-c", text.replaceAll("127.0.0.1:8080", `127.0.0.1:${port}`).replaceAll("127.0.0.1:9090", `127.0.0.1:${adminPort}`)],
      { cwd },
    );
  };

  describe.skipIf(!hasCurl)("asked with curl", () => {
    test.concurrent.each(COMMANDS.filter(isOfOrder))("$page: $text", { tags: ["three-steps"] }, async ({ text, prints }) => {
      const withoutTimes = (answer: string) => answer.trim().replaceAll(/"duration_ms":\d+/g, '"duration_ms":0');
      let seen: Ran | undefined;
      for (let tries = 0; tries < TRIES; tries++) {
        seen = await runHere(text);
        expect(seen.code).toBe(0);
        if (withoutTimes(seen.stdout) === withoutTimes(prints ?? "")) return;
      }
      expect(withoutTimes(seen?.stdout ?? "")).toBe(withoutTimes(prints ?? ""));
    });

    test.concurrent("for a diagnosis", async () => {
      const cwd = mkdtempSync(join(directory, "diagnosis-"));
      for (const { text } of COMMANDS.filter(isOfDiagnosis)) {
        const { code, stdout } = await runHere(text.replaceAll(/seconds=\d+/g, "seconds=1"), cwd);
        const [file] = readdirSync(cwd);
        const answer = JSON.parse(file === undefined ? stdout : readFileSync(join(cwd, file), "utf8"));
        const part = ["traceEvents", "threads"].find((name) => Array.isArray(answer[name]));
        expect({ text, code, part }).toEqual({ text, code: 0, part: expect.any(String) });
        if (file !== undefined) rmSync(join(cwd, file));
      }
    });
  });

  test("its log has lines as the pages show them", async () => {
    const order = { order_id: "logged", amount: 1, fail_step: "payment", delay_ms: { vendor: 600_000 } };
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await postOrder(ports.port, order, { headers: { traceparent } });
    const shown = CODE_BLOCKS.filter(({ text }) => text.startsWith('{"level":')).map(({ text }) => JSON.parse(text));
    expect(shown.map(({ msg }) => msg)).toEqual(["order pipeline is up", "order ended"]);
    for (const line of shown) {
      const isAlike = (text: string) => text.includes(line.msg) && (line.trace_id === undefined || text.includes(line.trace_id));
      const logged = await eventually("the line", () => server.stdout.split("\n").slice(0, -1).find(isAlike));
      expect(Object.keys(JSON.parse(logged ?? ""))).toEqual(Object.keys(line));
    }
  });

  test.skipIf(!hasSqlite)("other programs read and back up its journal", async () => {
    for (const { text } of ofJournal) expect(await runHere(text)).toMatchObject({ code: 0, stderr: "" });
    const { stdout } = await run("sqlite3", [join(directory, "copy.db"), "SELECT count(*) FROM attempts"]);
    expect(stdout).toMatch(/^\d+\n$/);
  });
});

test.skipIf(process.platform === "win32")(
  "a service that is started as the page says writes its heap at the signal that the page names",
  { concurrent: true },
  async () => {
    const [, options = ""] = /`NODE_OPTIONS="([^"]+)"`, then `kill -USR2 PID`/.exec(EVERYTHING) ?? [];
    const directory = mkdtempSync(join(tmpdir(), "heap-"));
    try {
      await using server = new ChildServer({ NODE_OPTIONS: options.replace("DIRECTORY", directory) }, [process.execPath, "src/start.js"]);
      const { port } = await server.ports();
      server.signal("SIGUSR2");
      const file = await eventually("the file", () => readdirSync(directory)[0]);
      // It stops the whole service, so whoever is answered afterwards finds it whole.
      expect((await send(port, { path: "/healthz" })).status).toBe(200);
      expect(JSON.parse(readFileSync(join(directory, file ?? ""), "utf8")).nodes.length).toBeGreaterThan(1_000);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
);

test.skipIf(process.platform === "win32")("at the other signal a debugger finds every thread under its id", async () => {
  await using server = new ChildServer({ THREADS: "2", NODE_OPTIONS: "--inspect-port=0" });
  const { adminPort } = await server.ports();
  const ids = (await threadsPage(adminPort)).threads.map(({ id }) => id);
  expect(ids.length).toBeGreaterThanOrEqual(2);
  server.signal("SIGUSR1");
  const address = await eventually("the inspector", () => /ws:\/\/127\.0\.0\.1:\S+/.exec(server.stderr)?.[0]);
  const debug = new WebSocket(address ?? "");
  const titles: string[] = [];
  debug.addEventListener("message", ({ data }) => titles.push(JSON.parse(data).params?.workerInfo.title));
  debug.addEventListener("open", () =>
    debug.send(JSON.stringify({ id: 1, method: "NodeWorker.enable", params: { waitForDebuggerOnStart: false } })),
  );
  await eventually("its threads", () => ids.every((id) => titles.some((title) => title?.startsWith(`[worker ${id}]`))));
  debug.close();
});

test.skipIf(!hasOpenssl)("the commands that make a client's key make one that is taken", async () => {
  const directory = mkdtempSync(join(tmpdir(), "keys-"));
  try {
    const { code, stdout } = await run("sh", ["-c", ofKeys[0]?.text ?? ""], { cwd: directory });
    const key = stdout.trim();
    expect({ code, length: key.length }).toEqual({ code: 0, length: 44 });
    const file = join(directory, "keys");
    expect(readFileSync(file, "utf8")).toBe(`sha256:${createHash("sha256").update(key).digest("hex")}\n`);
    await expect(AccessKeys.read("API_KEYS_FILE", file)).resolves.toBeInstanceOf(AccessKeys);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
