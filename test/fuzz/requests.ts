import { gzipSync } from "node:zlib";
import { ADMIN_TARGETS, AMBIGUOUS, FAULTS, HOSTS, MEANINGS, METHODS, TARGETS, VERSIONS } from "./heads.ts";
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
    headers.push(`Content-Encoding: ${random.pick(["gzip", "GZIP", "deflate", "br", "identity", "gzip, gzip", "zstd"])}`);
    if (random.chance(0.5)) body = gzipSync(bytes);
    return framed(random, id, headers, body, [...ANY_ORDER, 403, 413, 431], false);
  }
  if (body.length > 16 * 1024) {
    const { bytes: large } = framed(random, id, headers, body, [], true);
    // A header may have it refused before its body is looked at, on a connection that stays.
    return { bytes: large, ...(plain && { statuses: [413] }), closes: plain };
  }
  return framed(random, id, headers, body, good && plain ? GOOD : [...ANY_ORDER, 403, 431], false);
}

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

/**
 * Requests whose end two servers could see in different places, with another one hidden behind. They must be refused and end the
 * connection.
 */
function smuggling(random: Random, id: string): FuzzRequest {
  const lines = random.pick(AMBIGUOUS);
  const behind = `0\r\n\r\n${HIDDEN}`;
  return { bytes: join(head(ORDER, id, [lines.replace("LENGTH", String(behind.length))]), behind), statuses: [400, 404], closes: true };
}

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
