import type { IncomingMessage } from "node:http";

/**
 * Lets go of what Node and Express have hung on a request that has been read, while its answer may take minutes: the
 * headers, the body, the parsed URL and the routers' closures are as large as the request itself.
 */
export function forgetRequest(request: IncomingMessage): void {
  request.rawHeaders = [];
  Object.assign(request, FORGOTTEN);
}

const FORGOTTEN = { headers: undefined, body: undefined, next: undefined, params: undefined, route: undefined, _parsedUrl: undefined };
