import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

/**
 * Runs a script of this folder in a process of its own and gives what it sends, once it has ended: it must not be in the way of the next.
 * Rejects when it ends without a word.
 */
export function forked<Answer>(script: string, args: readonly string[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    // Its output goes to stderr, so that stdout has the table alone.
    const child = fork(fileURLToPath(new URL(script, import.meta.url)), args, { stdio: ["ignore", 2, 2, "ipc"] });
    let answer: Answer | undefined;
    child.once("message", (message) => {
      answer = message as Answer;
    });
    child.once("error", reject);
    child.once("close", (code, signal) => {
      if (answer !== undefined) resolve(answer);
      else reject(new Error(`${script} ${args.join(" ")} ended with ${signal ?? code} and no figures`));
    });
  });
}
