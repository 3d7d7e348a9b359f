import { parentPort, threadId } from "node:worker_threads";
import type { LogMessage, ThreadMessage } from "../../src/threads/protocol.ts";

/** Sends a line to the main thread, which owns the log. Fields must be plain data. */
export function threadLog(level: LogMessage["level"], message: string, fields: LogMessage["fields"]): void {
  parentPort?.postMessage({ type: "log", level, message, fields: { thread: threadId, ...fields } } satisfies ThreadMessage);
}
