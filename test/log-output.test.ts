import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { LogOutput } from "../src/log-output.ts";
import { eventually } from "./support/eventually.ts";
import { orderOf, postOrder, send } from "./support/http-client.ts";
import { freePort } from "./support/postgres/free-port.ts";

const LINE = `${"x".repeat(1_000)}\n`;

/** A pipe that nobody waits for: written to when it is full it says so. */
function pipe(): { fd: number; read: () => string } {
  const directory = mkdtempSync(join(tmpdir(), "log-output-"));
  const file = join(directory, "pipe");
  spawnSync("mkfifo", [file]);
  const fd = openSync(file, constants.O_RDWR | constants.O_NONBLOCK);
  onTestFinished(() => {
    closeSync(fd);
    rmSync(directory, { recursive: true });
  });
  const buffer = Buffer.alloc(1 << 20);
  return {
    fd,
    read() {
      let text = "";
      for (;;) {
        try {
          text += buffer.toString("utf8", 0, readSync(fd, buffer));
        } catch {
          return text;
        }
      }
    },
  };
}

test.skipIf(process.platform === "win32")("lines that cannot be written wait, those too many are counted, and none is cut", async () => {
  const { fd, read } = pipe();
  const lost: number[] = [];
  const output = new LogOutput({ fd, onLost: (lines) => lost.push(lines) });
  const numbered = (n: number) => `${n} ${LINE}`;
  // 6 MB.
  for (let n = 0; n < 6_000; n++) output.write(numbered(n));
  let text = "";
  // What has waited comes by itself.
  await eventually(
    "the lines that waited",
    () => {
      text += read();
      return lost.length;
    },
    (times) => times === 1,
  );
  text += read();
  const kept = text.split("\n").length - 1;
  expect(kept + (lost[0] ?? 0)).toBe(6_000);
  expect(text).toBe(Array.from({ length: kept }, (_, n) => numbered(n)).join(""));
  output.write("after\n");
  output.flushSync();
  expect(read()).toBe("after\n");
});

test.skipIf(process.platform === "win32")("lines are gathered for some milliseconds, and written at once by a flush", async () => {
  const { fd, read } = pipe();
  const output = new LogOutput({ fd, onLost: () => {} });
  output.write("one\n");
  output.write("two\n");
  expect(read()).toBe("");
  expect(await eventually("both of them", read, (text) => text !== "")).toBe("one\ntwo\n");
  output.write("three\n");
  output.flushSync();
  expect(read()).toBe("three\n");
});

test.skipIf(process.platform !== "linux").each(["exit", "throw"])(
  "a pipe that nobody reads delays nobody, and all lines come before the process ends by %s",
  async (how) => {
    const directory = mkdtempSync(join(tmpdir(), "log-output-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const path = join(directory, "pipe");
    spawnSync("mkfifo", [path]);
    const reading = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    onTestFinished(() => closeSync(reading));
    // As a shell or a supervisor has it: one that makes its writer wait.
    const writing = openSync(path, constants.O_WRONLY);
    const child = spawn(process.execPath, ["test/support/log-child.ts"], { stdio: ["pipe", writing, "pipe"] });
    onTestFinished(() => void child.kill("SIGKILL"));
    closeSync(writing);
    const exited = once(child, "exit");
    let errors = "";
    child.stderr?.on("data", (text) => (errors += text));
    await eventually("the child to go on", () => errors.includes("goes on"));
    child.stdin?.write(`${how}\n`);
    const text = await readToEnd(reading);
    expect(text).toBe(`${Array.from({ length: 1_000 }, (_, n) => `${n} ${LINE}`).join("")}last\n`);
    expect(await exited).toEqual([how === "exit" ? 0 : 1, null]);
  },
);

/** Until nobody has its other end any more. */
async function readToEnd(fd: number): Promise<string> {
  const buffer = Buffer.alloc(65_536);
  let text = "";
  for (;;) {
    try {
      const length = readSync(fd, buffer);
      if (length === 0) return text;
      text += buffer.toString("utf8", 0, length);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}

test.skipIf(process.platform !== "linux")("a full disk under the log stops neither orders nor the end of the process", async () => {
  const [port, adminPort] = [await freePort(), await freePort()];
  const full = openSync("/dev/full", "w");
  const { PATH = "" } = process.env;
  const server = spawn(process.execPath, ["src/start.js"], {
    env: { PATH, JOURNAL: "memory", PORT: String(port), ADMIN_PORT: String(adminPort) },
    stdio: ["ignore", full, "inherit"],
  });
  onTestFinished(() => void server.kill("SIGKILL"));
  closeSync(full);
  const exited = once(server, "exit");
  await eventually(
    "a server that is ready",
    () => send(port, { path: "/readyz" }).catch(() => undefined),
    (answer) => answer?.status === 200,
  );
  // Each leaves a line in the log.
  for (let lines = 0; lines < 3; lines++) {
    await eventually(
      "a thread that is up, to be killed",
      () => send(adminPort, { method: "POST", path: "/chaos/kill-thread" }),
      ({ status }) => status === 200,
    );
  }
  expect((await postOrder(port, orderOf("first", 0))).status).toBe(200);
  server.kill("SIGTERM");
  expect(await exited).toEqual([0, null]);
});
