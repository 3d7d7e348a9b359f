import express, { type Express } from "express";
import type { OnFault } from "../orders/faults.ts";
import { docsRoutes } from "./docs-routes.ts";
import { errorAnswers, faultAnswer, noSuchRoute } from "./fallbacks.ts";
import { healthRoutes, type Readiness } from "./health-routes.ts";
import { addOrderRoutes, type OrderParts } from "./order-routes.ts";

/** The public listener's application. */
export function publicApp(orders: OrderParts, readiness: () => Readiness, report: OnFault): Express {
  const app = express();
  app.disable("x-powered-by");
  app.enable("case sensitive routing");
  app.enable("strict routing");
  addOrderRoutes(app, orders, faultAnswer(report));
  app.use(healthRoutes(readiness));
  app.use(docsRoutes(orders.simulated));
  app.use(noSuchRoute);
  app.use(errorAnswers(report));
  return app;
}
