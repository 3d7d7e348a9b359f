import { Router } from "express";
import { type BrowserFile, browserFile, readBrowserFile, sendBrowserFile } from "./browser-files.ts";
import { onlyMethods } from "./methods.ts";
import { openApiDocument } from "./openapi/document.ts";

const FOLDER = new URL("../web/docs/", import.meta.url);
// What the page loads.
const FILES = ["page.css", "page.js", "element.js", "schema-view.js", "operation-view.js", "trial.js", "icon.svg"];

/** `GET /openapi.json`, and `GET /docs`, a page made of it in the browser, with its files below it. Needs no API key. */
export function docsRoutes(simulated: boolean): Router {
  const router = Router({ caseSensitive: true, strict: true });
  const files = FILES.map((name) => readBrowserFile(FOLDER, name));
  let document: BrowserFile | undefined;
  // Made when somebody asks: it takes some 15 ms, which no start has to wait for.
  const json = () => {
    document ??= browserFile("openapi.json", "application/json", Buffer.from(JSON.stringify(openApiDocument({ simulated, files: FILES }))));
    return document;
  };
  const page = readBrowserFile(FOLDER, "index.html");
  router
    .route("/openapi.json")
    .get((request, response) => sendBrowserFile(request, response, json()))
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
