import { z } from "zod";
import { sendError, sendJson } from "../http/answers.ts";
import type { Routes } from "../http/routes.ts";
import type { Threads } from "../threads/index.ts";
import { readJson, readSmallBody } from "./strict-input.ts";
import type { StuckThreads } from "./stuck-threads.ts";

const MS_RULE = "must be a whole number of milliseconds from 1 to 600000";
const STICK = z.strictObject({ ms: z.int(MS_RULE).min(1, MS_RULE).max(600_000, MS_RULE).default(5000) });

/** `POST /chaos/...`: real faults, for demonstrations and tests. Only while all providers are simulated. */
export function chaosRoutes(threads: Pick<Threads, "killThread">, sticking: StuckThreads): Routes {
  return {
    "/chaos/kill-thread": {
      post: (_request, response) => {
        const id = threads.killThread();
        if (id === undefined) sendError(response, "internal", "no thread is up");
        else sendJson(response, 200, JSON.stringify({ status: "ok", killed: id }));
      },
    },
    "/chaos/stick-thread": {
      post: [
        readSmallBody,
        async (request, response) => {
          const { ms } = readJson(request, STICK);
          if (!(await sticking.stick(ms))) sendError(response, "overloaded", "every thread that computes is busy");
          else sendJson(response, 200, JSON.stringify({ status: "ok", stuck_ms: ms }));
        },
      ],
    },
    "/chaos/crash": {
      post: (_request, response) => {
        sendJson(response, 202, '{"status":"ok"}');
        response.once("finish", () => process.kill(process.pid, "SIGKILL"));
      },
    },
  };
}
