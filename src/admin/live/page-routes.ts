import { readdirSync } from "node:fs";
import { Router } from "express";
import { type BrowserFile, readBrowserFile, sendBrowserFile } from "../../http/browser-files.ts";
import { onlyMethods } from "../../http/fallbacks.ts";

const FOLDER = new URL("../../web/live/", import.meta.url);
const INDEX = "index.html";

/** `GET /`, a page that shows what happens, with its files under `/live/`. The first request reads the files. */
export function pageRoutes(): Router {
  const router = Router({ caseSensitive: true, strict: true });
  let read: ReadonlyMap<string, BrowserFile> | undefined;
  const files = () => {
    read ??= readFiles();
    return read;
  };
  router
    .route("/")
    .get((request, response) => sendBrowserFile(request, response, files().get(INDEX) as BrowserFile))
    .all(onlyMethods("GET", "HEAD"));
  router
    .route("/live/*path")
    .get((request, response, next) => {
      const name = request.params.path.join("/");
      const file = name === INDEX ? undefined : files().get(name);
      if (file === undefined) next("router");
      else sendBrowserFile(request, response, file);
    })
    .all(onlyMethods("GET", "HEAD"));
  return router;
}

function readFiles(): ReadonlyMap<string, BrowserFile> {
  const names = readdirSync(FOLDER, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(html|css|js|svg)$/.test(name))
    .map((name) => name.replaceAll("\\", "/"));
  return new Map(names.map((name) => [name, readBrowserFile(FOLDER, name)]));
}
