import { Router } from "express";
import { type BrowserFile, browserFile, readBrowserFile, sendBrowserFile } from "./browser-files.ts";
import { onlyMethods } from "./methods.ts";
import { openApiDocument } from "./openapi/document.ts";

const FOLDER = new URL("../../web/docs/", import.meta.url);
// What the page loads; a name that is not here is no route.
const FILES = ["page.css", "page.js", "element.js", "schema-view.js", "operation-view.js", "trial.js", "icon.svg"];

/** `GET /openapi.json`, and `GET /docs`, a page made of it in the browser, with its files below it. Needs no API key. */
export function docsRoutes(simulated: boolean): Router {
  const router = Router({ caseSensitive: true, strict: true });
  const files = FILES.map((name) => readBrowserFile(FOLDER, name));
  let document: BrowserFile | undefined;
  // Made when somebody asks: it takes some 15 ms, which no start has to wait for.
  const json = () => {
    document ??= browserFile("openapi.json", "application/json", Buffer.from(JSON.stringify(openApiDocument({ simulated, files }))));
    return document;
  };
  const page = readBrowserFile(FOLDER, "index.html");
  const routes = new Map([
    ["/openapi.json", json],
    ["/docs", () => page],
    ...files.map((file) => [`/docs/${file.name}`, () => file] as const),
  ]);
  for (const [path, file] of routes) {
    router
      .route(path)
      .get((request, response) => sendBrowserFile(request, response, file()))
      .all(onlyMethods("GET", "HEAD"));
  }
  return router;
}
