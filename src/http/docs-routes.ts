import { type BrowserFile, browserFile, browserFolder, pageRoutes, sendBrowserFile } from "./browser-files.ts";
import type { Routes } from "./routes.ts";

/** `GET /openapi.json`, and `GET /docs`, a page that the browser makes of it, with its files below it. Needs no API key. */
export function docsRoutes(simulated: boolean): Routes {
  const files = browserFolder(new URL("../web/docs/", import.meta.url));
  // Made on the first request, so that the start does not wait for it.
  let document: Promise<BrowserFile> | undefined;
  return {
    "/openapi.json": {
      get: async (request, response) => {
        document ??= documentOf(simulated, [...files().keys()]);
        sendBrowserFile(request, response, await document);
      },
    },
    ...pageRoutes("/docs", "/docs/", files),
  };
}

async function documentOf(simulated: boolean, paths: readonly string[]): Promise<BrowserFile> {
  const { openApiDocument } = await import("./openapi/document.ts");
  const files = paths.filter((path) => path !== "index.html");
  return browserFile("application/json", Buffer.from(JSON.stringify(openApiDocument({ simulated, files }))));
}
