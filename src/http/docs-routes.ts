import { type Request, type Response, Router } from "express";
import { type BrowserFile, browserFile, readBrowserFile, sendBrowserFile } from "./browser-files.ts";
import { onlyMethods } from "./fallbacks.ts";

const FOLDER = new URL("../web/docs/", import.meta.url);
// The files that the page loads.
const FILES = [
  "page.css",
  "operation.css",
  "trial.css",
  "page.js",
  "element.js",
  "schema-view.js",
  "operation-view.js",
  "trial.js",
  "icon.svg",
];

/** `GET /openapi.json`, and `GET /docs`, a page that the browser makes of it, with its files below it. Needs no API key. */
export function docsRoutes(simulated: boolean): Router {
  const router = Router({ caseSensitive: true, strict: true });
  const files = FILES.map((name) => readBrowserFile(FOLDER, name));
  let document: Promise<BrowserFile> | undefined;
  const page = readBrowserFile(FOLDER, "index.html");
  router
    .route("/openapi.json")
    .get(async (request: Request, response: Response) => {
      document ??= documentOf(simulated);
      sendBrowserFile(request, response, await document);
    })
    .all(onlyMethods("GET", "HEAD"));
  router
    .route("/docs")
    .get((request, response) => sendBrowserFile(request, response, page))
    .all(onlyMethods("GET", "HEAD"));
  router
    .route("/docs/:file")
    .get((request, response, next) => {
      const file = files.find(({ name }) => name === request.params.file);
      if (file === undefined) next("route");
      else sendBrowserFile(request, response, file);
    })
    .all(onlyMethods("GET", "HEAD"));
  return router;
}

/** Made on the first request, so that the start does not wait for it. */
async function documentOf(simulated: boolean): Promise<BrowserFile> {
  const { openApiDocument } = await import("./openapi/document.ts");
  return browserFile("openapi.json", "application/json", Buffer.from(JSON.stringify(openApiDocument({ simulated, files: FILES }))));
}
