import { type Request, type Response, Router } from "express";
import { sendError } from "../../http/answers.ts";
import { onlyMethods } from "../../http/fallbacks.ts";
import type { LiveFeed } from "./live-feed.ts";

/** `GET /events`: what happens, as server-sent events, for the page and for `curl -N`. */
export function liveRoutes(feed: LiveFeed): Router {
  const router = Router({ caseSensitive: true, strict: true });
  router
    .route("/events")
    // Without this, Express would answer HEAD with the handler of GET, which opens a stream.
    .head(onlyMethods("GET"))
    .get((_request: Request, response: Response) => {
      if (!feed.open(response)) sendError(response, "overloaded", "too many pages are open already, or the service ends");
    })
    .all(onlyMethods("GET"));
  return router;
}
