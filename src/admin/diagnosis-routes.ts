import type { Response } from "express";
import { z } from "zod";
import type { TraceRecorder } from "../diagnosis/trace-recorder.ts";
import type { ThreadDirectory } from "../diagnosis/tracks.ts";
import { sendError } from "../http/answers.ts";
import type { Routes } from "../http/routes.ts";
import { readQuery } from "./strict-input.ts";

const MAX_SECONDS = 60;
const SECONDS_RULE = `must be a whole number of seconds from 1 to ${MAX_SECONDS}`;
const SECONDS = z
  .string(SECONDS_RULE)
  .regex(/^[1-9]\d?$/, SECONDS_RULE)
  .transform(Number)
  .refine((seconds) => seconds <= MAX_SECONDS, SECONDS_RULE)
  .default(5);

const TRACE = z.strictObject({ seconds: SECONDS });

// A client that neither reads nor hangs up must not block the others. Whoever reads takes something in within a second.
const UNREAD_MS = 10_000;

/** `GET /debug/trace`. `unreadMs`: how long a client may take nothing in of what was recorded; for tests. */
export function diagnosisRoutes(
  traces: Pick<TraceRecorder, "isRecording" | "record">,
  threads: ThreadDirectory,
  unreadMs = UNREAD_MS,
): Routes {
  return {
    "/debug/trace": {
      // It would record.
      head: false,
      get: (request, response) => {
        const { seconds } = readQuery(request, TRACE);
        if (traces.isRecording) {
          sendError(response, "overloaded", "a trace is being recorded, and there is one at a time");
          return;
        }
        begin(response, seconds);
        traces.record(response, seconds, threads);
        const recorded = setTimeout(() => cutUnread(response, unreadMs), seconds * 1000);
        response.once("close", () => clearTimeout(recorded));
      },
    },
  };
}

/** Sets the headers of a download whose file name says what it holds and when it was made. */
function begin(response: Response, seconds: number): void {
  const at = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  response.statusCode = 200;
  response.setHeader("X-Request-Id", response.locals.requestId);
  response.setHeader("Content-Type", "application/json; charset=utf-8");
  response.setHeader("Content-Disposition", `attachment; filename="orders-trace-${seconds}s-${at}Z.json"`);
}

/** From now on the client has to read: an answer of which nothing more goes out for `ms` is cut off. */
function cutUnread(response: Response, ms: number): void {
  response.setTimeout(ms, () => response.destroy());
}
