import { readFileSync } from "node:fs";
import { STEP_ERRORS } from "../../src/orders/error-kind.ts";
import { section, tablesOf } from "../support/markdown.ts";

/** An answer, as it was read from the wire. */
export interface FuzzAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** Something that the server must never say. */
export class BadAnswer extends Error {}

// From the page that clients read, on purpose not from the code that is tested. A server under fuzz has no fault and does not drain.
const NEVER = ["internal", "shutting_down"];
const KINDS = kindsOf(readFileSync(new URL("../../docs/api.md", import.meta.url), "utf8"));
// Which steps there are is not under test. Neither is this list what the server looks at when it adds `steps` to an error.
const OF_ORDERS = [...Object.keys(STEP_ERRORS), "canceled", "timeout"];
const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";

/**
 * Takes apart everything that a server has sent on one connection, in latin1, and checks each answer against the contract. `sent`
 * is what it was sent. `whole`: the last answer must be complete. Throws `BadAnswer`.
 */
export function checkAnswers(received: string, sent: Buffer, whole: boolean): FuzzAnswer[] {
  const answers: FuzzAnswer[] = [];
  let rest = received;
  while (rest !== "") {
    if (rest.startsWith(CONTINUE)) {
      rest = rest.slice(CONTINUE.length);
      continue;
    }
    const end = rest.indexOf("\r\n\r\n");
    if (end < 0) {
      if (whole) throw new BadAnswer(`half an answer: ${JSON.stringify(rest.slice(0, 500))}`);
      break;
    }
    const { status, headers } = readHead(rest.slice(0, end));
    const after = rest.slice(end + 4);
    // Of a page that the client has already: never with a body, nor with a length.
    const isUnchanged = status === 304 && headers.has("etag");
    const length = isUnchanged ? 0 : Number(headers.get("content-length") ?? Number.NaN);
    if (Number.isNaN(length)) throw new BadAnswer(`no Content-Length: ${rest.slice(0, end)}`);
    // The answer to a HEAD says how long its body would be and has none.
    const headless = (after === "" || after.startsWith("HTTP/1.1 ")) && sent.includes("HEAD");
    if (after.length < length && !headless) {
      if (whole) throw new BadAnswer(`half an answer: ${JSON.stringify(rest.slice(0, 500))}`);
      break;
    }
    const answer = { status, headers, body: headless ? "" : after.slice(0, length) };
    check(answer, headless);
    answers.push(answer);
    rest = headless ? after : after.slice(length);
  }
  return answers;
}

function readHead(text: string): { status: number; headers: Map<string, string> } {
  const [first = "", ...lines] = text.split("\r\n");
  const status = /^HTTP\/1\.1 (\d{3}) [\x20-\x7e]+$/.exec(first)?.[1];
  if (status === undefined) throw new BadAnswer(`no status line: ${JSON.stringify(text.slice(0, 500))}`);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name, value] = /^([\w-]+): ([\x20-\x7e]*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) throw new BadAnswer(`no header: ${JSON.stringify(line)}`);
    if (headers.has(name.toLowerCase())) throw new BadAnswer(`doubled header: ${line}`);
    headers.set(name.toLowerCase(), value);
  }
  return { status: Number(status), headers };
}

function check(answer: FuzzAnswer, headless: boolean): void {
  const { status, headers, body } = answer;
  const fail = (what: string): never => {
    throw new BadAnswer(`${what}: ${status} ${JSON.stringify(Object.fromEntries(headers))} ${body.slice(0, 1_000)}`);
  };
  if (!/^[\x21-\x7e]{1,128}$/.test(headers.get("x-request-id") ?? "")) fail("no X-Request-Id");
  if (headers.has("x-injected")) fail("an injected header");
  if (status === 405 && !headers.has("allow")) fail("no Allow");
  if ([408, 413, 417, 431].includes(status) && !body.includes("order_id") && headers.get("connection") !== "close" && !headless)
    fail("a connection that stays");
  if (headless) {
    if (status >= 500 && status !== 503) fail("a fault of the server's");
    return;
  }
  if (status === 304) return;
  if (status === 200 && headers.get("content-type")?.startsWith("text/plain")) return;
  // A page, or what belongs to one, is told what it may load.
  if (status === 200 && headers.has("content-security-policy") && headers.get("x-content-type-options") === "nosniff") return;
  if (!headers.get("content-type")?.startsWith("application/json")) fail("no JSON");
  const json = parsed(body) ?? fail("no JSON object");
  if (status === 200 || status === 202) {
    // What is known of an order has its error in it.
    if ("error" in json && !("attempts" in json)) fail("an error under 200");
    return;
  }
  // What `readyz` says while it is not ready has no kind; a fuzzed server is ready.
  const { kind, message } = (json.error ?? {}) as { kind?: unknown; message?: unknown };
  if (json.status !== "error" || typeof kind !== "string" || typeof message !== "string" || message === "")
    fail("no error as the contract has it");
  if (KINDS.get(String(kind)) !== status && !(status === 417 && kind === "bad_request")) fail("no kind of the contract's with its status");
  if (kind === "overloaded" && !headers.has("retry-after")) fail("no Retry-After");
  if (/\n\s*at |node_modules|file:\/\//.test(String(message))) fail("a stack");
  const keys = Object.keys(json).join();
  if (keys !== "status,error" && !(OF_ORDERS.includes(String(kind)) && keys === "status,order_id,steps,error")) fail("other fields");
}

function parsed(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(body, "latin1").toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** The status of each error kind that a page lists, but for those that must not come. */
function kindsOf(page: string): ReadonlyMap<string, number> {
  const rows = tablesOf(section(page, /Error kinds$/)).flatMap((table) => table.rows);
  const kinds = rows.map(([kind = "", status]) => [kind.replaceAll("`", ""), Number(status)] as const);
  if (kinds.length < 15) throw new Error(`docs/api.md lists only ${kinds.length} error kinds`);
  return new Map(kinds.filter(([kind]) => !NEVER.includes(kind)));
}
