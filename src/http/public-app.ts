import express, { type Express } from "express";
import type { Logger } from "pino";
import type { OrderDesk } from "../orders/order-desk.ts";
import { errorAnswers, noSuchRoute } from "./fallbacks.ts";
import { healthRoutes, type Readiness } from "./health-routes.ts";
import { orderRoutes } from "./order-routes.ts";
import { requestId } from "./request-id.ts";

/** The public listener's routes. */
export function publicApp(desk: OrderDesk, readiness: () => Readiness, log: Logger): Express {
  const app = express();
  app.disable("x-powered-by");
  app.use(requestId);
  app.use(orderRoutes(desk));
  app.use(healthRoutes(readiness));
  app.use(noSuchRoute);
  app.use(errorAnswers(log));
  return app;
}
