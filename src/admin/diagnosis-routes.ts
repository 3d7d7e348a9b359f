import type { ErrorRequestHandler, Response } from "express";
import { z } from "zod";
import { InspectorBusy, MAIN_THREAD, type ThreadInspector, ThreadUnavailable } from "../diagnosis/thread-inspector.ts";
import { MAX_RECORDINGS, type TraceRecorder } from "../diagnosis/trace-recorder.ts";
import type { ThreadDirectory } from "../diagnosis/tracks.ts";
import { sendError } from "../http/answers.ts";
import type { Routes } from "../http/routes.ts";
import { CancelScope } from "../threads/index.ts";
import { readQuery } from "./strict-input.ts";

export interface Diagnosis {
  readonly traces: Pick<TraceRecorder, "full" | "record">;
  readonly inspector: Pick<ThreadInspector, "cpuProfile">;
}

const MAX_SECONDS = 60;
const SECONDS_RULE = `must be a whole number of seconds from 1 to ${MAX_SECONDS}`;
const SECONDS = z
  .string(SECONDS_RULE)
  .regex(/^[1-9]\d?$/, SECONDS_RULE)
  .transform(Number)
  .refine((seconds) => seconds <= MAX_SECONDS, SECONDS_RULE)
  .default(5);
const THREAD_RULE = "must be the id of a thread as GET /debug/threads shows it, or 0 for the main thread";
const THREAD = z
  .string(THREAD_RULE)
  .regex(/^(0|[1-9]\d{0,8})$/, THREAD_RULE)
  .transform(Number)
  .default(MAIN_THREAD);

const TRACE = z.strictObject({ seconds: SECONDS });
const PROFILE = z.strictObject({ thread: THREAD, seconds: SECONDS });

// A client that neither reads nor hangs up must not block the others. Whoever reads takes something in within a second.
const UNREAD_MS = 10_000;

/** `GET /debug/trace` and `GET /debug/profile`. `unreadMs`: how long a client may take nothing in of what was recorded; for tests. */
export function diagnosisRoutes({ traces, inspector }: Diagnosis, threads: ThreadDirectory, unreadMs = UNREAD_MS): Routes {
  return {
    "/debug/trace": {
      // It would record.
      head: false,
      get: (request, response) => {
        const { seconds } = readQuery(request, TRACE);
        if (traces.full) {
          sendError(response, "overloaded", `${MAX_RECORDINGS} traces are being recorded, and there are not more at one time`);
          return;
        }
        begin(response, `trace-${seconds}s`, "json");
        traces.record(response, seconds, threads);
        const recorded = setTimeout(() => cutUnread(response, unreadMs), seconds * 1000);
        response.once("close", () => clearTimeout(recorded));
      },
    },
    "/debug/profile": {
      head: false,
      get: async (request, response) => {
        const { thread, seconds } = readQuery(request, PROFILE);
        const stop = new CancelScope();
        response.once("close", () => stop.cancel("client_disconnected"));
        const profile = await inspector.cpuProfile(thread, seconds * 1000, stop);
        if (response.destroyed) return;
        begin(response, `${nameOf(thread)}-${seconds}s`, "cpuprofile");
        response.end(profile);
        cutUnread(response, unreadMs);
      },
    },
  };
}

/** The answer to a request for a profile that cannot be taken. */
export const inspectionAnswers: ErrorRequestHandler = (error: unknown, _request, response, next) => {
  if (error instanceof InspectorBusy) sendError(response, "overloaded", error.message);
  else if (!(error instanceof ThreadUnavailable)) next(error);
  else if (error.reason === "unknown") sendError(response, "not_found", `thread: ${THREAD_RULE}; ${error.message}`);
  else sendError(response, "internal", error.message);
};

function nameOf(thread: number): string {
  return thread === MAIN_THREAD ? "main" : `thread-${thread}`;
}

/** Sets the headers of a download whose file name says what it holds and when it was made. */
function begin(response: Response, what: string, ending: string): void {
  const at = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  response.statusCode = 200;
  response.setHeader("X-Request-Id", response.locals.requestId);
  response.setHeader("Content-Type", "application/json; charset=utf-8");
  response.setHeader("Content-Disposition", `attachment; filename="orders-${what}-${at}Z.${ending}"`);
}

/** From now on the client has to read: an answer of which nothing more goes out for `ms` is cut off. */
function cutUnread(response: Response, ms: number): void {
  response.setTimeout(ms, () => response.destroy());
}
