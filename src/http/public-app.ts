import type { Express } from "express";
import type { OnFault } from "../orders/faults.ts";
import { docsRoutes } from "./docs-routes.ts";
import { healthRoutes, type Readiness } from "./health-routes.ts";
import { type OrderParts, orderRoutes } from "./order-routes.ts";
import { addRoutes, errorAnswers, faultAnswer, newApp, noSuchRoute } from "./routes.ts";

/** The public listener's application. */
export function publicApp(orders: OrderParts, readiness: () => Readiness, report: OnFault): Express {
  const app = newApp();
  addRoutes(app, { ...orderRoutes(orders, faultAnswer(report)), ...healthRoutes(readiness), ...docsRoutes(orders.simulated) });
  app.use(noSuchRoute);
  app.use(errorAnswers(report));
  return app;
}
