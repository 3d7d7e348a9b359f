import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { extname } from "node:path";
import { gzipSync } from "node:zlib";
import { type Request, type Response, Router } from "express";
import { onlyMethods } from "../../http/methods.ts";

const DIRECTORY = new URL("./page/", import.meta.url);
const INDEX = "index.html";

/** By ending; a file of another kind is none of the page's. */
const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

// Order ids and notes are other people's text. The page sets them as text only; should it ever not, the browser runs nothing of them.
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");

interface PageFile {
  readonly headers: Readonly<Record<string, string>>;
  readonly etag: string;
  readonly plain: Buffer;
  readonly gzipped: Buffer;
}

/** `GET /` and what the page loads (`/live/NAME`). The files are read at the first request and kept, a few hundred kilobytes. */
export function pageRoutes(): Router {
  let files: ReadonlyMap<string, PageFile> | undefined;
  const router = Router({ caseSensitive: true, strict: true });
  router
    .route("/")
    .get((request, response) => answer(request, response, INDEX))
    .all(onlyMethods("GET", "HEAD"));
  router
    .route("/live/:file")
    .get((request, response, next) => {
      const name = String(request.params.file);
      if (name === INDEX || !answer(request, response, name)) next("router");
    })
    .all(onlyMethods("GET", "HEAD"));
  return router;

  /** Returns false, with nothing sent, where there is no such file. */
  function answer(request: Request, response: Response, name: string): boolean {
    files ??= readFiles();
    const file = files.get(name);
    if (file === undefined) return false;
    const headers = { "X-Request-Id": response.locals.requestId, ...file.headers };
    if (request.headers["if-none-match"] === file.etag) {
      response.writeHead(304, headers).end();
      return true;
    }
    const gzip = /\bgzip\b/.test(String(request.headers["accept-encoding"]));
    const body = gzip ? file.gzipped : file.plain;
    response.writeHead(200, { ...headers, ...(gzip && { "Content-Encoding": "gzip" }), "Content-Length": body.length });
    response.end(body);
    return true;
  }
}

function readFiles(): ReadonlyMap<string, PageFile> {
  const names = readdirSync(DIRECTORY).filter((name) => TYPES[extname(name)] !== undefined);
  return new Map(names.map((name) => [name, pageFile(name)]));
}

function pageFile(name: string): PageFile {
  const plain = readFileSync(new URL(name, DIRECTORY));
  const etag = `W/"${createHash("sha256").update(plain).digest("base64url").slice(0, 22)}"`;
  const headers = {
    "Content-Type": TYPES[extname(name)] as string,
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    // Asked again each time and mostly answered with 304: a new version is never mixed with an old one.
    "Cache-Control": "no-cache",
    Vary: "Accept-Encoding",
    ETag: etag,
  };
  return { headers, etag, plain, gzipped: gzipSync(plain, { level: 9 }) };
}
