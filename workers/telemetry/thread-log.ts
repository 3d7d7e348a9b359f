import { threadId } from "node:worker_threads";
import type { LogNews } from "../../src/telemetry/thread-news.ts";
import { post } from "../../src/threads/worker/index.ts";

/** Sends a line to the main thread, which owns the log. Fields must be plain data. */
export function threadLog(level: LogNews["level"], message: string, fields: LogNews["fields"]): void {
  post({ type: "log", level, message, fields: { thread: threadId, ...fields } } satisfies LogNews);
}
