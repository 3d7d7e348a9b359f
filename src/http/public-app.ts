import express, { type Express } from "express";
import type { Logger } from "pino";
import { errorAnswers, faultAnswer, noSuchRoute } from "./fallbacks.ts";
import { healthRoutes, type Readiness } from "./health-routes.ts";
import { addOrderRoutes, type OrderParts } from "./order-routes.ts";
import { requestId, requestIdOfError } from "./request-id.ts";

/** The public listener's routes. */
export function publicApp(orders: OrderParts, readiness: () => Readiness, log: Logger): Express {
  const app = express();
  app.disable("x-powered-by");
  app.enable("case sensitive routing");
  app.enable("strict routing");
  addOrderRoutes(app, orders, faultAnswer(log));
  app.use(requestId);
  app.use(healthRoutes(readiness));
  app.use(noSuchRoute);
  app.use(requestIdOfError);
  app.use(errorAnswers(log));
  return app;
}
