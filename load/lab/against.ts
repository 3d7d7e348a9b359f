import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "../options.ts";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));

/** The project at another commit, in a temporary folder. */
export interface Tree extends AsyncDisposable {
  /** Its short hash. */
  readonly name: string;
  /** Its `src/main.ts`. */
  readonly script: string;
}

/** Checks a commit out beside this tree, with its packages. Throws `UsageError` where there is no such commit. */
export async function checkOut(ref: string, project = PROJECT): Promise<Tree> {
  const git = (...args: string[]) =>
    execFileSync("git", args, { cwd: project, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();
  let name: string;
  try {
    name = git("rev-parse", "--short", "--verify", "--end-of-options", `${ref}^{commit}`);
  } catch {
    throw new UsageError(`--against ${ref}: there is no such commit`);
  }
  const directory = mkdtempSync(join(tmpdir(), "against-"));
  const tree = join(directory, "tree");
  const remove = (): void => {
    rmSync(directory, { recursive: true, force: true });
    git("worktree", "prune");
  };
  process.once("exit", remove);
  git("worktree", "add", "--detach", tree, name);
  const lock = (of: string): string => readFileSync(join(of, "package-lock.json"), "utf8");
  if (lock(tree) === lock(project)) symlinkSync(join(project, "node_modules"), join(tree, "node_modules"), "junction");
  else execFileSync("npm", ["ci"], { cwd: tree, stdio: ["ignore", 2, 2] });
  return {
    name,
    script: join(tree, "src/main.ts"),
    async [Symbol.asyncDispose]() {
      process.off("exit", remove);
      remove();
    },
  };
}
