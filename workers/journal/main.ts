import { workerData } from "node:worker_threads";
import { JournalFile } from "./journal-file.ts";
import { OpenFailed } from "./open-failed.ts";
import type { JournalSettings, OpenReply, Operation, Reply } from "./protocol.ts";

/** The file that Piscina loads on the journal's own thread, the only one that touches the disk. */

let file: JournalFile | undefined;

/** To be called once, before the first batch. Returns the reason when the operator can mend it, throws on a bug. */
export function open(): OpenReply {
  try {
    file = new JournalFile(workerData as JournalSettings);
    return {};
  } catch (error) {
    if (error instanceof OpenFailed) return { failure: error.message };
    throw error;
  }
}

/** One batch: one transaction. */
export default function runBatch(operations: readonly Operation[]): Reply {
  if (file === undefined) throw new Error("the journal is not open");
  return file.run(operations);
}

/** Closes the file in order: the log is emptied into the database and removed. */
export function close(): void {
  file?.close();
  file = undefined;
}
