import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

// The programs end long before; a process that nobody waits for, as in some containers, never looks ended.
const LOOKS = 100;

// $1 is the data directory, the others are to be deleted. Each line names the process of the server, an empty one that there is none now.
const SCRIPT = `
while read -r line; do pid=$line; done
if [ -n "$pid" ]; then
  kill -QUIT "$pid"
  # A test may have stopped it.
  kill -CONT "$pid"
  looks=0
  while kill -0 "$pid" && [ $looks -lt ${LOOKS} ]; do sleep 0.1; looks=$((looks + 1)); done
fi
# A killed server leaves it behind, with the shared memory that its seventh line names.
[ -f "$1/postmaster.pid" ] && ipcrm -m "$(sed -n '7s/.* //p' "$1/postmaster.pid")"
shift
rm -rf "$@"
`;

/**
 * Ends a server and deletes its directories when this process has ended, in whatever way: it reads from a pipe that the operating system
 * closes then. A process group of its own keeps it from the signals of a terminal.
 */
export class Keeper {
  readonly #shell: ChildProcess;

  constructor(dataDirectory: string, directories: readonly string[]) {
    this.#shell = spawn("sh", ["-c", SCRIPT, "keeper", dataDirectory, ...directories], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    });
    this.#shell.unref();
    // It has ended before this process: somebody ended it by hand.
    this.#shell.stdin?.on("error", () => {});
  }

  /** From now on it ends this process; with undefined, none. */
  keep(pid: number | undefined): void {
    this.#shell.stdin?.write(`${pid ?? ""}\n`);
  }

  /** Resolves when the server has ended and the directories are gone. */
  async end(): Promise<void> {
    if (this.#shell.exitCode !== null) return;
    this.#shell.ref();
    const exited = once(this.#shell, "exit");
    this.#shell.stdin?.end();
    await exited;
  }
}
