import { type Request, type Response, Router, raw } from "express";
import { z } from "zod";
import { sendError, sendJson } from "../http/answers.ts";
import { BadRequest } from "../http/bad-request.ts";
import { onlyMethods } from "../http/methods.ts";

/** The faults that can be caused on purpose. */
export interface Chaos {
  /** Terminates one busy thread, or an idle one; its id, undefined when none is up. */
  killThread(): number | undefined;
  /** Makes a thread compute for `ms` and ignore everything. Resolves when it does, with false when none could be had. */
  stickThread(ms: number): Promise<boolean>;
  /** Kills the process as `kill -9` does. */
  crash(): void;
}

const MS_RULE = "must be a whole number of milliseconds from 1 to 600000";
const STICK = z.strictObject({ ms: z.int(MS_RULE).min(1, MS_RULE).max(600_000, MS_RULE).default(5000) });

/** `POST /chaos/...`: real faults, for demonstrations and tests. Only while all providers are simulated. */
export function chaosRoutes(chaos: Chaos): Router {
  const router = Router({ caseSensitive: true, strict: true });
  const body = raw({ type: () => true, limit: 1024 });

  router
    .route("/chaos/kill-thread")
    .post((_request, response) => {
      const id = chaos.killThread();
      if (id === undefined) sendError(response, "internal", "no thread is up");
      else sendJson(response, 200, JSON.stringify({ status: "ok", killed: id }));
    })
    .all(onlyMethods("POST"));

  router
    .route("/chaos/stick-thread")
    .post(body, async (request: Request, response: Response) => {
      const { ms } = readStick(request.body);
      if (!(await chaos.stickThread(ms))) sendError(response, "overloaded", "every thread that computes is busy");
      else sendJson(response, 200, JSON.stringify({ status: "ok", stuck_ms: ms }));
    })
    .all(onlyMethods("POST"));

  router
    .route("/chaos/crash")
    .post((_request, response) => {
      sendJson(response, 202, '{"status":"ok"}');
      response.once("finish", () => chaos.crash());
    })
    .all(onlyMethods("POST"));

  return router;
}

function readStick(body: unknown): { ms: number } {
  let value: unknown = {};
  try {
    if (body instanceof Buffer && body.length > 0) value = JSON.parse(body.toString("utf8"));
  } catch {
    throw new BadRequest("body: must be one JSON object");
  }
  const result = STICK.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new BadRequest(`${issue?.code === "unrecognized_keys" ? issue.keys[0] : issue?.path.join(".") || "body"}: ${issue?.message}`);
}
