import http from "node:http";
import https from "node:https";

/** Node's modules, imported as usual. */
export const nodeHttp = (): typeof http => http;
export const nodeHttps = (): typeof https => https;
