import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import type { LeavingSetup } from "./leaving-child.ts";

// Many times what a process takes that nothing holds.
const HELD_MS = 1_000;

/** A process whose thread is in a native call, and which has begun to leave. */
class Leaving {
  readonly #fifo: string;
  readonly #child: ChildProcess;
  #said = "";
  exited = false;

  constructor(setup: Omit<LeavingSetup, "fifo">) {
    const folder = mkdtempSync(join(tmpdir(), "leaving-"));
    this.#fifo = join(folder, "fifo");
    execFileSync("mkfifo", [this.#fifo]);
    const file = fileURLToPath(new URL("./leaving-child.ts", import.meta.url));
    const given: LeavingSetup = { ...setup, fifo: this.#fifo };
    this.#child = spawn(process.execPath, [file, JSON.stringify(given)], { stdio: ["pipe", "pipe", "inherit"] });
    this.#child.stdout?.on("data", (data) => (this.#said += data));
    this.#child.once("exit", () => (this.exited = true));
    onTestFinished(async () => {
      this.#child.kill("SIGKILL");
      this.endNativeCall();
      await this.end();
      rmSync(folder, { recursive: true });
    });
  }

  async begin(): Promise<void> {
    await this.says("blocked");
    this.#child.stdin?.write("go\n");
    await this.says("leaving");
  }

  async says(what: string): Promise<void> {
    await eventually(`"${what}" of the process`, () => this.#said.includes(what) || this.exited);
    expect(this.#said).toContain(what);
  }

  /** Ends the call of the thread. Returns whether it was still under way. */
  endNativeCall(): boolean {
    try {
      // Fails where nobody reads.
      const fifo = openSync(this.#fifo, constants.O_WRONLY | constants.O_NONBLOCK);
      writeSync(fifo, "\n");
      closeSync(fifo);
      return true;
    } catch {
      return false;
    }
  }

  /** Its exit code, or the signal that ended it. */
  async end(): Promise<number | string | null> {
    if (!this.exited) await once(this.#child, "exit");
    return this.#child.exitCode ?? this.#child.signalCode;
  }
}

test("Node itself waits for a native call of a thread", async () => {
  const process = new Leaving({ calls: 0, exitCode: 7, ends: "naturally", hasExecve: true });
  await process.begin();
  await pause(HELD_MS);
  expect(process.exited).toBe(false);
  expect(process.endNativeCall()).toBe(true);
  expect(await process.end()).toBe(7);
});

test.each([
  ["naturally", 0],
  ["by process.exit", 7],
] as const)("a process that ends %s leaves despite it, with its exit code %i", async (ends, exitCode) => {
  const process = new Leaving({ calls: 1, exitCode, ends, hasExecve: true });
  await process.begin();
  expect(await process.end()).toBe(exitCode);
  // It did not wait for the call.
  expect(process.endNativeCall()).toBe(true);
});

test("calling it again adds nothing", async () => {
  const process = new Leaving({ calls: 3, exitCode: 7, ends: "naturally", hasExecve: true });
  await process.begin();
  await process.says("1 more");
  expect(await process.end()).toBe(7);
});

test("where a process cannot become another program it is killed", async () => {
  const process = new Leaving({ calls: 1, exitCode: 7, ends: "naturally", hasExecve: false });
  await process.begin();
  expect(await process.end()).toBe("SIGKILL");
  expect(process.endNativeCall()).toBe(true);
});
