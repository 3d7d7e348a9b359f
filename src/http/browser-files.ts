import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { extname } from "node:path";
import type { Request, Response } from "express";

/** A file for browsers, in memory. */
export interface BrowserFile {
  /** The path within its folder. */
  readonly name: string;
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

/** Reads a file of the package. Its name's extension decides its type. Throws for an extension that is not among `TYPES`. */
export function readBrowserFile(folder: URL, name: string): BrowserFile {
  const type = TYPES[extname(name)];
  if (type === undefined) throw new Error(`${name}: no file for browsers`);
  return browserFile(name, type, readFileSync(new URL(name, folder)));
}

/** A file that is generated. */
export function browserFile(name: string, type: string, body: Buffer): BrowserFile {
  return { name, type, body, etag: `"${createHash("sha256").update(body).digest("base64url")}"` };
}

/** Sends a file, or 304 where the browser has it. Browsers revalidate each time, so they see a new version at once. */
export function sendBrowserFile(request: Request, response: Response, { type, body, etag }: BrowserFile): void {
  if (response.locals.connections.ending) response.shouldKeepAlive = false;
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
