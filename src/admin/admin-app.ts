import express, { type Express } from "express";
import type { Logger } from "pino";
import { errorAnswers, noSuchRoute } from "../http/fallbacks.ts";
import { type Chaos, chaosRoutes } from "./chaos-routes.ts";
import { type ThreadBooks, threadRoutes } from "./thread-routes.ts";

export interface AdminParts {
  readonly books: ThreadBooks;
  /** Absent with real providers: then the chaos routes do not exist. */
  readonly chaos?: Chaos;
  readonly log: Logger;
}

/** The admin listener's routes. It is on loopback unless told otherwise, and never part of the public listener. */
export function adminApp({ books, chaos, log }: AdminParts): Express {
  const app = express();
  app.disable("x-powered-by");
  app.use(threadRoutes(books));
  if (chaos !== undefined) app.use(chaosRoutes(chaos));
  app.use(noSuchRoute);
  app.use(errorAnswers(log));
  return app;
}
