import { type Random, words } from "./random.ts";

const KEYS = [
  ...words`a "a" "" " "a"" a;b=c __proto__ constructor 'a' {} %00`,
  "",
  " ",
  "a b",
  "a, b",
  "\t",
  "k".repeat(255),
  "k".repeat(256),
  `"${"k".repeat(255)}"`,
  "\u00e9",
  "\u007f",
];
const TRACES = [
  "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  "00-00000000000000000000000000000000-b7ad6b7169203331-01",
  "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-the-future-will-be",
  "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
  "",
  "-",
  `00-${"a".repeat(5_000)}`,
];
const PRIORITIES = [...words`u=0 u=7 u=8 u=-1 u=1.5 u= i u=3;x "u"=1 u=9999999999999999 ( u=?1`, "u=3, i", "\u00e9", ", ,"];
export const HOSTS = [
  ...words`evil.example localhost:99999 [::1] [::1 127.0.0.1:80:80`,
  "",
  "a".repeat(3_000),
  "\u00e9",
  "localhost, localhost",
];
const ORIGINS = ["null", "http://evil.example", "http://localhost", "HTTPS://LOCALHOST", "", "http://localhost\u00e9", "a".repeat(2_000)];

/** Headers that mean something here, in good forms and in bad ones. None of them moves the end of a request. */
export const MEANINGS: readonly ((random: Random, id: string) => string)[] = [
  (random) => `Idempotency-Key: ${random.pick(KEYS)}`,
  (_random, id) => `Idempotency-Key: own-${id}`,
  (random) => `Idempotency-Key: ${random.pick(KEYS)}\r\nIdempotency-Key: ${random.pick(KEYS)}`,
  (random) => `traceparent: ${random.pick(TRACES)}`,
  (random) => `traceparent: ${random.pick(TRACES)}\r\ntraceparent: ${random.pick(TRACES)}\r\ntracestate: a=b,,=`,
  (random) => `Priority: ${random.pick(PRIORITIES)}`,
  (random) => `Priority: ${random.pick(PRIORITIES)}\r\nPriority: ${random.pick(PRIORITIES)}`,
  (random) => `Origin: ${random.pick(ORIGINS)}`,
  (random) => `Sec-Fetch-Site: ${random.pick(["cross-site", "same-site", "same-origin", "none", "", "CROSS-SITE", "cross-site, none"])}`,
  (random) => `Authorization: ${random.pick(["Bearer", "Bearer ", "Bearer x", "Basic", "Basic ====", "Basic eA==", "Digest a", "\u00e9"])}`,
  (random) =>
    `Content-Type: ${random.pick(["", "text/plain", "application/json; charset=utf-16", "multipart/form-data", ";", "a".repeat(4_000)])}`,
  (random) => `Cookie: ${"a=b; ".repeat(random.below(500))}`,
  () => `__proto__: x\r\nconstructor: y\r\ntoString: z\r\nhasOwnProperty: 1`,
  (random) => `Accept-Encoding: ${random.pick(["gzip", "br", "*;q=0", "identity;q=0"])}\r\nRange: bytes=0-1\r\nIf-None-Match: *`,
  (random) => `X-Forwarded-For: ${"1.2.3.4, ".repeat(random.below(200))}\r\nForwarded: for="[::1]"\r\nX-HTTP-Method-Override: DELETE`,
  // There are more ways to say who asks than one.
  () => `X-Original-URL: /debug/threads\r\nX-Rewrite-URL: /metrics`,
  (random) => Array.from({ length: random.pick([10, 1_000, 2_100]) }, (_, n) => `${n.toString(36)}:`).join("\r\n"),
];

export const TARGETS = [
  ...words`
    / /order /order/ /order/a //order /./order /order/. /order/.. /order/../healthz /healthz/.. /ORDER /Order /order/% /order/%2 /order/%zz
    /order/%00 /order/%2e%2e /order/%2E /order/%c0%af /order/%ed%a0%80 /order/%ff /%6frder /order/a%2fb /order/a/b
    /order/a%0d%0aX-Injected:%201 /order/%E2%80%AE /order/__proto__ /order/constructor /order?x /order/a?before=1 /order/a?before=-1
    /order/a?before=1&before=2 /order/a?before[a]=1 /order/a?before= /order/a?% /order/a?__proto__=1 /healthz /healthz?x=%zz /healthz/
    /readyz /readyz? /openapi.json /docs /favicon.ico /metrics /debug/threads * /* http://localhost/healthz http://evil.example/order
    http://user:pass@localhost/order/a HTTP://LOCALHOST/readyz ftp://localhost/ http:// /#a localhost:80 healthz ? /\..\order /; /order;a=b
    /.env /etc/passwd /%00
  `,
  "",
  "/a b",
  "/\u00e9",
  "/\u007f",
  "/\0",
  `/${"a".repeat(3_000)}`,
  `/order/${"%61".repeat(200)}`,
  `/order/${"a".repeat(14_000)}`,
  `/?${"a&".repeat(2_000)}`,
  `/${"a/".repeat(1_500)}`,
  `/${"a".repeat(70_000)}`,
];
export const ADMIN_TARGETS = [
  ...words`
    /metrics /debug/threads /orders /orders?status=ok&limit=3 /orders?status=none /orders?limit=0 /orders?limit=501 /orders?limit=1e9
    /orders?since=2020-01-01T00:00:00Z /orders?since=x /orders?since=99999999999999999999 /orders?since=-1 /orders?cursor=x /orders?cursor=
    /orders?status=ok&status=error /orders?limit[]=1 /orders?cursor=AAAA /orders?cursor=%00 /compensations
    /compensations?state=pending&limit=2 /compensations?state= /compensations?state=done /compensations/1/retry /compensations/0/retry
    /compensations/-1/settle /compensations/1e3/settle /compensations/99999999999999999999/settle /compensations/1.5/retry
    /compensations/x/retry /compensations/1/settle /dead-letters /dead-letters/1/redeliver /dead-letters/9007199254740993/redeliver
    /dead-letters/%zz/redeliver /webhooks /webhooks/resume /backup /chaos/none /order /nothing
  `,
];
export const METHODS = [
  ...words`
    GET GET GET POST POST HEAD PUT DELETE OPTIONS PATCH TRACE PROPFIND M-SEARCH QUERY SOURCE CONNECT PRI get GETT SUBSCRIBE ANNOUNCE
    constructor
  `,
  "G\u00cbT",
  "",
  "GET\t",
  "X".repeat(500),
];
export const VERSIONS = [
  ...words`HTTP/1.0 HTTP/1.0 HTTP/0.9 HTTP/1.2 HTTP/2.0 HTTP/1 http/1.1 HTTP/9.9 ICE/1.0 RTSP/1.0`,
  ...Array(20).fill("HTTP/1.1"),
  "HTTP/1.1 ",
  "HTTP/ 1.1",
  "",
];

/** Header lines that are none, or that ask for something else than a plain answer. */
export const FAULTS: readonly ((random: Random, id: string) => string)[] = [
  () => "no colon",
  () => ": no name",
  () => "Space : before",
  () => " folded: from nothing",
  () => "X-Folded: a\r\n b\r\n\tc",
  () => "X-Nul: a\0b",
  () => "X-Bare: a\rb",
  () => "X-Bare: a\nb",
  () => "X-\u00e9: a",
  () => "X-Bytes: \u00ff\u00fe\u0001",
  () => `X-Long: ${"a".repeat(20_000)}`,
  (random) => `${"X".repeat(random.pick([1_000, 17_000]))}: a`,
  (random) => `X-Request-Id: ${random.pick(["", "a b", "a".repeat(129), "\u00e9", "a\tb", "a, b"])}`,
  (random) => `Expect: ${random.pick(["100-continue", "100-Continue", "100-continue, x", "200-ok", "", "\u00e9", "100-continue;a=b"])}`,
  (random) =>
    `Connection: ${random.pick(["close", "keep-alive", "Upgrade", "close, keep-alive", "Host", "Content-Length", "", "x".repeat(99), "upgrade, close"])}`,
  () => "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  () => "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
  () => "Upgrade: x",
  () => "Keep-Alive: timeout=99999999999, max=-1",
  () => "TE: trailers, chunked;q=0\r\nTrailer: Content-Length",
  () => "Proxy-Connection: close\r\nProxy: http://evil.example",
];

export const AMBIGUOUS = [
  "Content-Length: LENGTH\r\nTransfer-Encoding: chunked",
  "Transfer-Encoding: chunked\r\nContent-Length: 5",
  "Content-Length: 0\r\nContent-Length: LENGTH",
  "Content-Length: LENGTH\r\nContent-Length: LENGTH",
  "Content-Length: LENGTH, LENGTH",
  "Content-Length: +LENGTH",
  "Content-Length: -1",
  "Content-Length: 0xff",
  "Content-Length: LENGTH.0",
  "Content-Length: 1e2",
  "Content-Length: 5 5",
  "Content-Length: 99999999999999999999999",
  "Content-Length : 5",
  "Transfer-Encoding : chunked",
  "Transfer-Encoding: xchunked",
  "Transfer-Encoding: identity",
  "Transfer-Encoding: chunked, identity",
  "Transfer-Encoding: identity, chunked\r\nContent-Length: 5",
  "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
  "Transfer-Encoding: \u000bchunked",
  'Transfer-Encoding: "chunked"',
  "Transfer-Encoding: chunked;q=1",
  "Transfer-Encoding\0: chunked",
  "X: y\rTransfer-Encoding: chunked\r\nContent-Length: 5",
];
