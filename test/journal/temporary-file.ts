import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The path of a journal that is not there yet, in a directory that is deleted when this process ends. */
export function temporaryFile(): string {
  const directory = mkdtempSync(join(tmpdir(), "writer-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  return join(directory, "orders.db");
}
