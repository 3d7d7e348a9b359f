import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Runs a script of this folder in a process of its own and gives what it sends. Rejects when the process ends without a word. */
export function forked<Answer>(script: string, args: readonly string[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    // Its output is on stderr, so that stdout has the table alone.
    const child = fork(fileURLToPath(new URL(script, import.meta.url)), args, { stdio: ["ignore", 2, 2, "ipc"] });
    child.once("message", (answer) => resolve(answer as Answer));
    child.once("error", reject);
    child.once("exit", (code, signal) => reject(new Error(`${script} ${args.join(" ")} ended with ${signal ?? code} and no figures`)));
  });
}
