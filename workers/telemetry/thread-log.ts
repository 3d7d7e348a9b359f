import { parentPort, threadId } from "node:worker_threads";
import type { LogLevel, ThreadMessage } from "../../src/threads/protocol.ts";

export type ThreadLog = (level: LogLevel, message: string, fields: Readonly<Record<string, unknown>>) => void;

/** Sends a line to the main thread, which owns the log. Fields must be plain data. */
export const threadLog: ThreadLog = (level, message, fields) => {
  parentPort?.postMessage({ type: "log", level, message, fields: { thread: threadId, ...fields } } satisfies ThreadMessage);
};
