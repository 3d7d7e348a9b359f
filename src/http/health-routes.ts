import { sendJson } from "./answers.ts";
import type { Routes } from "./routes.ts";

/** The states of `GET /readyz`: 200 for `ready`, 503 for any other. */
export const READINESS = ["ready", "starting", "journal_unavailable", "draining"] as const;

export type Readiness = (typeof READINESS)[number];

/** `GET /healthz` (the process lives) and `GET /readyz` (it takes orders). */
export function healthRoutes(readiness: () => Readiness): Routes {
  return {
    "/healthz": {
      get: (_request, response) => sendJson(response, 200, '{"status":"ok"}'),
    },
    "/readyz": {
      get: (_request, response) => {
        const status = readiness();
        sendJson(response, status === "ready" ? 200 : 503, JSON.stringify({ status }));
      },
    },
  };
}
