import { flushCompileCache } from "node:module";
import { setImmediate as turn } from "node:timers/promises";
import { type MessagePort, workerData } from "node:worker_threads";
import type { BackupReply, JournalSettings, OpenReply, Operation, Query, QueryReply, Reply } from "../../src/journal/protocol.ts";
import { openForReading } from "./open-database.ts";
import { Queries } from "./queries.ts";
import { OpenFailed } from "./sqlite-trouble.ts";
import { Writer } from "./writer.ts";

/**
 * The file that Piscina loads on the journal's threads. Only they touch the disk: one writes and one reads, so that no order waits for a query.
 */

const settings = workerData as JournalSettings;
let writer: Writer | undefined;
let queries: Queries | undefined;

/** Is called once, first. Returns the reason for a failure that the operator can mend; throws on a bug. */
export function open(): OpenReply {
  try {
    if (settings.role === "writer") writer = new Writer(settings);
    else queries = new Queries(openForReading(settings.file));
    // A thread writes its compile cache at its end, and a killed process never gets there.
    flushCompileCache();
    return {};
  } catch (error) {
    if (error instanceof OpenFailed) return { failure: error.message };
    throw error;
  }
}

/** The writer's standing task. Each batch of writes that comes through the port is one transaction. Rejects on a bug. */
export function serveWrites(port: MessagePort): Promise<never> {
  return new Promise((_resolve, reject) => {
    port.on("message", (batch: readonly Operation[]) => {
      try {
        port.postMessage(opened(writer).run(batch));
      } catch (error) {
        reject(error);
      }
    });
  });
}

export function probe(): Reply {
  return opened(writer).probe();
}

export function read(query: Query): QueryReply | Promise<QueryReply> {
  return opened(queries).run(query);
}

export async function backup(file: string): Promise<BackupReply> {
  const { backUp } = await import("./backup.ts");
  return backUp(settings.file, file);
}

export async function removeCutOffBackups(directory: string): Promise<readonly string[]> {
  const { removeCutOff } = await import("./backup.ts");
  return removeCutOff(directory);
}

export async function close(): Promise<void> {
  // Reads that wait for their turn come first.
  await turn();
  queries?.close();
  writer?.close();
}

function opened<T>(part: T | undefined): T {
  if (part === undefined) throw new Error("the journal is not open");
  return part;
}
