import { type Request, type Response, Router } from "express";
import { onlyMethods } from "../http/fallbacks.ts";
import type { Exposition, MetricSources, Metrics } from "./metrics.ts";

/** `GET /metrics`, for Prometheus. It ignores parameters. */
export function metricsRoutes(metrics: Metrics, sources: MetricSources): Router {
  const router = Router({ caseSensitive: true, strict: true });
  let reading: Promise<Exposition> | undefined;
  router
    .route("/metrics")
    .get(async (_request: Request, response: Response) => {
      reading ??= metrics.exposition(sources);
      const exposition = await reading;
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
