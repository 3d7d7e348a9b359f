import type { Express } from "express";
import type { OnFault } from "../orders/faults.ts";
import { type BrowserFile, browserFile, browserFolder, pageRoutes, sendBrowserFile } from "./browser-files.ts";
import { healthRoutes, type Readiness } from "./health-routes.ts";
import { type OrderParts, orderRoutes } from "./order-routes.ts";
import { addRoutes, errorAnswers, faultAnswer, newApp, noSuchRoute, type Routes } from "./routes.ts";

/** The public listener's application. */
export function publicApp(orders: OrderParts, readiness: () => Readiness, report: OnFault): Express {
  const app = newApp();
  addRoutes(app, { ...orderRoutes(orders, faultAnswer(report)), ...healthRoutes(readiness), ...docsRoutes(orders.simulated) });
  app.use(noSuchRoute);
  app.use(errorAnswers(report));
  return app;
}

/** `GET /openapi.json`, and `GET /docs`, a page that the browser makes of it, with its files below it. Needs no API key. */
function docsRoutes(simulated: boolean): Routes {
  const files = browserFolder(new URL("../web/docs/", import.meta.url));
  // Made on the first request, so that the start does not wait for it.
  let document: Promise<BrowserFile> | undefined;
  return {
    "/openapi.json": {
      get: async (request, response) => {
        document ??= documentOf(simulated);
        sendBrowserFile(request, response, await document);
      },
    },
    ...pageRoutes("/docs", "/docs/:file", files),
  };
}

async function documentOf(simulated: boolean): Promise<BrowserFile> {
  const { openApiDocument } = await import("./openapi/document.ts");
  return browserFile("application/json", Buffer.from(JSON.stringify(openApiDocument(simulated))));
}
