import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { fuzzBody, ownOrderId } from "./json-bodies.ts";
import type { Random } from "./random.ts";

/** One request as it goes over the wire. */
export interface FuzzRequest {
  readonly bytes: Buffer;
  /** The statuses that its one answer may have; absent where whether it is answered at all is not told here. */
  readonly statuses?: readonly number[];
  /** The server ends the connection with its answer. */
  readonly closes: boolean;
}

export type ListenerName = "public" | "admin";

/** The id of what is hidden in a body and must never be taken for a request. */
export const SMUGGLED = "smuggled";
const HIDDEN = `GET /order/hidden HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: ${SMUGGLED}\r\n\r\n`;

// What an order that broke no rule may be answered with; on a busy machine it may be refused or late.
const GOOD = [200, 503, 504];
const ANY_ORDER = [200, 400, 409, 422, 503, 504];

/** Makes a request of some kind. `id` goes with it as its `X-Request-Id`. */
export function fuzzRequest(random: Random, listener: ListenerName, id: string): FuzzRequest {
  const dice = random.below(100);
  if (listener === "admin") return dice < 60 ? adminRequest(random, id) : dice < 80 ? oddHead(random, id) : smuggling(random, id);
  if (dice < 45) return order(random, id);
  if (dice < 55) return lookup(random, id);
  if (dice < 75) return oddHead(random, id);
  if (dice < 85) return smuggling(random, id);
  return oddFraming(random, id);
}

function head(start: string, id: string, headers: readonly string[] = []): string {
  return `${[start, "Host: localhost", `X-Request-Id: ${id}`, ...headers].join("\r\n")}\r\n\r\n`;
}

function join(text: string, body: Buffer | string = ""): Buffer {
  return Buffer.concat([Buffer.from(text, "latin1"), Buffer.from(body)]);
}

/** `POST /order` whose framing is beyond doubt: whatever is wrong is in its body or in headers that only mean something. */
function order(random: Random, id: string): FuzzRequest {
  const { bytes, good } = random.chance(0.05) ? { bytes: Buffer.from(HIDDEN), good: false } : fuzzBody(random, id);
  const headers: string[] = random.chance(0.3) ? [random.pick(MEANINGS)(random, id)] : [];
  const plain = headers.length === 0;
  let body = bytes;
  if (random.chance(0.05)) {
    const [name, compress] = random.pick(COMPRESSIONS);
    headers.push(`Content-Encoding: ${name}`);
    body = compress(bytes);
    if (random.chance(0.2)) body = Buffer.concat([body.subarray(0, random.below(body.length + 1)), body.subarray(0, 3)]);
    return framed(random, id, headers, body, [...ANY_ORDER, 403, 413, 431], false);
  }
  if (body.length > 16 * 1024) {
    const { bytes: large } = framed(random, id, headers, body, [], true);
    // A header may have it refused before its body is looked at, on a connection that stays.
    return { bytes: large, ...(plain && { statuses: [413] }), closes: plain };
  }
  return framed(random, id, headers, body, good && plain ? GOOD : [...ANY_ORDER, 403, 431], false);
}

const COMPRESSIONS: readonly (readonly [string, (bytes: Buffer) => Buffer])[] = [
  ["gzip", gzipSync],
  ["GZIP", gzipSync],
  ["deflate", deflateSync],
  ["br", brotliCompressSync],
  ["identity", (bytes) => bytes],
  ["gzip, gzip", (bytes) => gzipSync(gzipSync(bytes))],
  ["zstd", (bytes) => bytes],
  ["gzip", (bytes) => bytes],
  // Small on the wire, and large beyond the limit.
  ["gzip", () => gzipSync(Buffer.alloc(1_000_000, " "))],
];

function framed(
  random: Random,
  id: string,
  headers: readonly string[],
  body: Buffer,
  statuses: readonly number[],
  closes: boolean,
): FuzzRequest {
  if (random.chance(0.7)) return { bytes: join(head(ORDER, id, [...headers, `Content-Length: ${body.length}`]), body), statuses, closes };
  return { bytes: join(head(ORDER, id, [...headers, "Transfer-Encoding: chunked"]), chunks(random, body)), statuses, closes };
}

const ORDER = "POST /order HTTP/1.1";

/** A body in well-formed chunks of all sizes, with extensions and trailers now and then. */
function chunks(random: Random, body: Buffer): Buffer {
  const parts: Buffer[] = [];
  let rest = body;
  while (rest.length > 0) {
    const chunk = rest.subarray(0, 1 + random.below(Math.min(rest.length, random.pick([1, 7, 300, 20_000]))));
    rest = rest.subarray(chunk.length);
    const size = chunk.length.toString(16);
    const written = random.pick([size, size.toUpperCase(), `000${size}`, `${size};a=b`, `${size};a="b c"`]);
    parts.push(Buffer.from(`${written}\r\n`), chunk, Buffer.from("\r\n"));
    // Thousands of chunks of a byte each cost more time than they tell.
    if (parts.length > 300) {
      parts.push(Buffer.from(`${rest.length.toString(16)}\r\n`), rest, Buffer.from("\r\n"));
      if (rest.length === 0) parts.splice(-3);
      break;
    }
  }
  const trailers = random.pick(["", "", "X-Trailer: a\r\n", `Idempotency-Key: late\r\nHost: evil.example\r\n`]);
  return Buffer.concat([...parts, Buffer.from(`0\r\n${trailers}\r\n`)]);
}

const KEYS = [
  ...[
    "a",
    '"a"',
    '""',
    '"',
    "",
    " ",
    "a b",
    "a, b",
    "\t",
    "k".repeat(255),
    "k".repeat(256),
    `"${"k".repeat(255)}"`,
    "\u00e9",
    '"a""',
    "a;b=c",
  ],
  ...["__proto__", "constructor", "\u007f", "'a'", "{}", "%00"],
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
const PRIORITIES = [
  "u=0",
  "u=7",
  "u=8",
  "u=-1",
  "u=1.5",
  "u=",
  "i",
  "u=3, i",
  "u=3;x",
  '"u"=1',
  "u=9999999999999999",
  "(",
  "u=?1",
  "\u00e9",
  ", ,",
];
const HOSTS = [
  "evil.example",
  "",
  "localhost:99999",
  "[::1]",
  "[::1",
  "127.0.0.1:80:80",
  "a".repeat(3_000),
  "\u00e9",
  "localhost, localhost",
];
const ORIGINS = ["null", "http://evil.example", "http://localhost", "HTTPS://LOCALHOST", "", "http://localhost\u00e9", "a".repeat(2_000)];

/** Headers that mean something here, in good forms and in bad ones. None of them moves the end of a request. */
const MEANINGS: readonly ((random: Random, id: string) => string)[] = [
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

const TARGETS = [
  ...[
    "/",
    "/order",
    "/order/",
    "/order/a",
    "//order",
    "/./order",
    "/order/.",
    "/order/..",
    "/order/../healthz",
    "/healthz/..",
    "/ORDER",
    "/Order",
  ],
  ...[
    "/order/%",
    "/order/%2",
    "/order/%zz",
    "/order/%00",
    "/order/%2e%2e",
    "/order/%2E",
    "/order/%c0%af",
    "/order/%ed%a0%80",
    "/order/%ff",
    "/%6frder",
  ],
  ...[
    "/order/a%2fb",
    "/order/a/b",
    "/order/a%0d%0aX-Injected:%201",
    "/order/%E2%80%AE",
    "/order/__proto__",
    "/order/constructor",
    "/order?x",
  ],
  ...[
    "/order/a?before=1",
    "/order/a?before=-1",
    "/order/a?before=1&before=2",
    "/order/a?before[a]=1",
    "/order/a?before=",
    "/order/a?%",
    "/order/a?__proto__=1",
  ],
  ...[
    "/healthz",
    "/healthz?x=%zz",
    "/healthz/",
    "/readyz",
    "/readyz?",
    "/openapi.json",
    "/docs",
    "/favicon.ico",
    "/metrics",
    "/debug/threads",
    "*",
    "/*",
  ],
  ...[
    "http://localhost/healthz",
    "http://evil.example/order",
    "http://user:pass@localhost/order/a",
    "HTTP://LOCALHOST/readyz",
    "ftp://localhost/",
    "http://",
    "/#a",
  ],
  ...[
    "localhost:80",
    "healthz",
    "?",
    "",
    "/a b",
    "/\u00e9",
    "/\u007f",
    "/\0",
    "/\\..\\order",
    "/;",
    "/order;a=b",
    "/.env",
    "/etc/passwd",
    "/%00",
  ],
  ...[
    `/${"a".repeat(3_000)}`,
    `/order/${"%61".repeat(200)}`,
    `/order/${"a".repeat(14_000)}`,
    `/?${"a&".repeat(2_000)}`,
    `/${"a/".repeat(1_500)}`,
    `/${"a".repeat(70_000)}`,
  ],
];
const ADMIN_TARGETS = [
  ...[
    "/metrics",
    "/debug/threads",
    "/orders",
    "/orders?status=ok&limit=3",
    "/orders?status=none",
    "/orders?limit=0",
    "/orders?limit=501",
    "/orders?limit=1e9",
  ],
  ...[
    "/orders?since=2020-01-01T00:00:00Z",
    "/orders?since=x",
    "/orders?since=99999999999999999999",
    "/orders?since=-1",
    "/orders?cursor=x",
    "/orders?cursor=",
  ],
  ...[
    "/orders?status=ok&status=error",
    "/orders?limit[]=1",
    "/orders?cursor=AAAA",
    "/orders?cursor=%00",
    "/compensations",
    "/compensations?state=pending&limit=2",
  ],
  ...[
    "/compensations?state=",
    "/compensations?state=done",
    "/compensations/1/retry",
    "/compensations/0/retry",
    "/compensations/-1/settle",
    "/compensations/1e3/settle",
  ],
  ...[
    "/compensations/99999999999999999999/settle",
    "/compensations/1.5/retry",
    "/compensations/x/retry",
    "/compensations/1/settle",
    "/dead-letters",
    "/dead-letters/1/redeliver",
  ],
  ...[
    "/dead-letters/9007199254740993/redeliver",
    "/dead-letters/%zz/redeliver",
    "/webhooks",
    "/webhooks/resume",
    "/backup",
    "/chaos/none",
    "/order",
    "/nothing",
  ],
];
const METHODS = [
  ...[
    "GET",
    "GET",
    "GET",
    "POST",
    "POST",
    "HEAD",
    "PUT",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "TRACE",
    "PROPFIND",
    "M-SEARCH",
    "QUERY",
    "SOURCE",
    "CONNECT",
    "PRI",
  ],
  ...["get", "GETT", "G\u00cbT", "", "GET\t", "SUBSCRIBE", "ANNOUNCE", "X".repeat(500), "constructor"],
];
const VERSIONS = [
  ...Array(20).fill("HTTP/1.1"),
  ...[
    "HTTP/1.0",
    "HTTP/1.0",
    "HTTP/0.9",
    "HTTP/1.2",
    "HTTP/2.0",
    "HTTP/1",
    "http/1.1",
    "HTTP/1.1 ",
    "HTTP/ 1.1",
    "HTTP/9.9",
    "ICE/1.0",
    "RTSP/1.0",
    "",
  ],
];

/** A look at an order, an unknown one mostly. */
function lookup(random: Random, id: string): FuzzRequest {
  const orderId = random.pick([`shared-${random.below(50)}`, ownOrderId(`f${random.below(1_000)}-0`), "nobody"]);
  return { bytes: join(head(`GET /order/${orderId} HTTP/1.1`, id)), statuses: [200, 404, 503], closes: false };
}

function adminRequest(random: Random, id: string): FuzzRequest {
  const target = random.pick(ADMIN_TARGETS);
  const method = random.pick(["GET", "GET", "POST", "HEAD", "DELETE"]);
  const body =
    method === "POST"
      ? random.pick([
          '{"note":"by hand"}',
          '{"note":""}',
          '{"note":1}',
          "{}",
          "[]",
          "",
          '{"name":"../x"}',
          '{"name":"a.db"}',
          "{",
          "\ufeff{}",
        ])
      : "";
  const headers = random.chance(0.2) ? [random.pick(MEANINGS)(random, id)] : [];
  return {
    bytes: join(head(`${method} ${target} HTTP/1.1`, id, [...headers, `Content-Length: ${Buffer.byteLength(body)}`]), body),
    statuses: [200, 400, 403, 404, 405, 409, 431, 503],
    closes: false,
  };
}

/** Any method, target, version and headers: whether it is a request at all is left open. */
function oddHead(random: Random, id: string): FuzzRequest {
  const headers = Array.from({ length: random.below(3) }, () => random.pick(random.chance(0.5) ? MEANINGS : FAULTS)(random, id));
  const text = head(`${random.pick(METHODS)} ${random.pick(TARGETS)} ${random.pick(VERSIONS)}`, id, headers);
  const host = random.chance(0.15)
    ? random.pick(["", "Host: localhost\r\nHost: evil.example\r\n", `Host: ${random.pick(HOSTS)}\r\n`])
    : undefined;
  const bytes = host === undefined ? text : text.replace("Host: localhost\r\n", host);
  return { bytes: join(random.chance(0.05) ? bytes.replaceAll("\r\n", random.pick(["\n", "\r", "\n\r"])) : bytes), closes: false };
}

/** Header lines that are none, or that ask for something else than a plain answer. */
const FAULTS: readonly ((random: Random, id: string) => string)[] = [
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

/**
 * Requests whose end two servers could see in different places, with another one hidden behind. They must be refused and end the
 * connection.
 */
function smuggling(random: Random, id: string): FuzzRequest {
  const lines = random.pick(AMBIGUOUS);
  const behind = `0\r\n\r\n${HIDDEN}`;
  return { bytes: join(head(ORDER, id, [lines.replace("LENGTH", String(behind.length))]), behind), statuses: [400, 404], closes: true };
}

const AMBIGUOUS = [
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

/** A body that is shorter, longer or other than its head says. What is behind it may be taken for a part of it. */
function oddFraming(random: Random, id: string): FuzzRequest {
  const { bytes: body } = fuzzBody(random, id);
  if (random.chance(0.4)) {
    const off = random.pick([-1, 1, -body.length, 5, 1_000, 20_000, 4_000_000_000]);
    const length = random.chance(0.9) ? String(Math.max(0, body.length + off)) : random.pick(["", " ", "\u0660", "5\t", "007", "\t5"]);
    const expect = random.chance(0.2) ? ["Expect: 100-continue"] : [];
    return { bytes: join(head(ORDER, id, [...expect, `Content-Length: ${length}`]), body), closes: false };
  }
  const coding = random.pick([
    "chunked",
    "chunked",
    "Chunked",
    "gzip, chunked",
    "chunked, chunked",
    ",chunked",
    "chunked,",
    "identity, chunked",
    " chunked\t",
  ]);
  const good = chunks(random, body).toString("latin1");
  const size = /^[\da-f]+/i.exec(good)?.[0] ?? "0";
  const odd = random.pick([
    good,
    good.replace(
      size,
      random.pick(["-1", "+1", "0x1", "", " ", "g", "fffffffffffffffff", "ffffffff", `${size} `, `${"0".repeat(500)}${size}`, "0"]),
    ),
    good.replace("\r\n", random.pick(["\n", "\r", "", ";\r\n", `;${"a".repeat(17_000)}\r\n`, ";a\n\r\n", "\r\r\n"])),
    good.replace(/\r\n(?=0\r\n)/, random.pick(["", "\n", "xx\r\n"])),
    good.slice(0, random.below(good.length)),
    good.replace(/\r\n$/, random.pick(["", `X: ${"a".repeat(20_000)}\r\n\r\n`, "no colon\r\n\r\n", " folded\r\n\r\n"])),
  ]);
  return { bytes: Buffer.concat([join(head(ORDER, id, [`Transfer-Encoding: ${coding}`])), Buffer.from(odd, "latin1")]), closes: false };
}
