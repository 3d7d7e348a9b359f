import { type Request, type Response, Router } from "express";
import { onlyMethods } from "../http/methods.ts";
import type { MetricSources, Metrics } from "./metrics.ts";

/** `GET /metrics`, for Prometheus. Parameters are its own affair. */
export function metricsRoutes(metrics: Metrics, sources: MetricSources): Router {
  const router = Router({ caseSensitive: true, strict: true });
  const exposition = metrics.exposition(sources);
  router
    .route("/metrics")
    .get(async (_request: Request, response: Response) => {
      const text = await exposition.text();
      if (response.destroyed) return;
      response.writeHead(200, {
        "X-Request-Id": response.locals.requestId,
        "Content-Type": exposition.contentType,
        "Content-Length": Buffer.byteLength(text),
      });
      response.end(text);
    })
    .all(onlyMethods("GET", "HEAD"));
  return router;
}
