import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { extname } from "node:path";
import type { Request, Response } from "express";
import { beginAnswer } from "./answers.ts";
import type { Routes } from "./routes.ts";

/** A file for browsers, in memory. */
export interface BrowserFile {
  /** Media type, without parameters. */
  readonly type: string;
  readonly body: Buffer;
  /** With the quotes that the header needs. */
  readonly etag: string;
}

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".css": "text/css",
  ".js": "text/javascript",
  ".svg": "image/svg+xml",
};

// A page may load files of this server and nothing else, and no other page may put it into a frame.
const CONTENT_SECURITY_POLICY = [
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

const OF_PAGES = {
  "Content-Security-Policy": CONTENT_SECURITY_POLICY,
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  // For browsers that do not know frame-ancestors.
  "X-Frame-Options": "DENY",
};

const INDEX = "index.html";

/** The files for browsers in a folder, by their paths in it; read at the first call. */
export function browserFolder(folder: URL): () => ReadonlyMap<string, BrowserFile> {
  let files: ReadonlyMap<string, BrowserFile> | undefined;
  return () => {
    files ??= new Map(
      readdirSync(folder, { recursive: true, encoding: "utf8" })
        .map((path) => path.replaceAll("\\", "/"))
        .sort()
        .flatMap((path) => {
          const type = TYPES[extname(path)];
          return type === undefined ? [] : [[path, browserFile(type, readFileSync(new URL(path, folder)))] as const];
        }),
    );
    return files;
  };
}

/** A page, which is the folder's index.html, and its other files, whose paths are the parameter of `others`. */
export function pageRoutes(page: string, others: string, files: () => ReadonlyMap<string, BrowserFile>): Routes {
  return {
    [page]: { get: (request, response) => sendBrowserFile(request, response, files().get(INDEX) as BrowserFile) },
    [others]: {
      get: (request, response, next) => {
        const path = Object.values(request.params).flat().join("/");
        const file = path === INDEX ? undefined : files().get(path);
        if (file === undefined) next("route");
        else sendBrowserFile(request, response, file);
      },
    },
  };
}

export function browserFile(type: string, body: Buffer): BrowserFile {
  return { type, body, etag: `"${createHash("sha256").update(body).digest("base64url")}"` };
}

/** Sends a file, or 304 where the browser has it. Browsers revalidate each time, so they see a new version at once. */
export function sendBrowserFile(request: Request, response: Response, { type, body, etag }: BrowserFile): void {
  beginAnswer(response);
  response.set({
    "X-Request-Id": response.locals.requestId,
    ETag: etag,
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    ...(type === "text/html" && OF_PAGES),
  });
  if (request.fresh) {
    response.writeHead(304).end();
    return;
  }
  response.writeHead(200, { "Content-Type": `${type}; charset=utf-8`, "Content-Length": body.length });
  // Node sends no body to HEAD.
  response.end(body);
}
