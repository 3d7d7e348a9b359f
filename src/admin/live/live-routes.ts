import { type Request, type Response, Router } from "express";
import { sendError } from "../../http/answers.ts";
import { onlyMethods } from "../../http/fallbacks.ts";
import type { LiveFeed } from "./live-feed.ts";

/** `GET /events`: what happens, as server-sent events, for the page and for whoever else wants to look (`curl -N`). */
export function liveRoutes(feed: LiveFeed): Router {
  const router = Router({ caseSensitive: true, strict: true });
  router
    .route("/events")
    // Express would open a stream for it.
    .head(onlyMethods("GET"))
    .get((_request: Request, response: Response) => {
      if (!feed.open(response)) sendError(response, "overloaded", "too many pages are open already, or the service ends");
    })
    .all(onlyMethods("GET"));
  return router;
}
