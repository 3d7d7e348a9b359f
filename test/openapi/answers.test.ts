import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { JournalBusy, JournalUnavailable } from "../../src/orders/order-journal.ts";
import { STEPS } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { postOrder, send } from "../support/http-client.ts";
import { startService, type TestService } from "../support/service.ts";
import { CheckedAnswers } from "./checked-answers.ts";
import { type Answered, type Any, Documented } from "./documented.ts";
import { expectedOf, sendExamples } from "./examples.ts";
import { behindTooMany, raw } from "./raw-requests.ts";

const FOR_EVER_MS = 60_000;

let server: TestService;
let documented: Documented;
let answers: CheckedAnswers;
/** What brings answers. */
const exercises: (() => Promise<void>)[] = [];

beforeAll(async () => {
  server = await startService();
  documented = await Documented.of(server.port);
  answers = new CheckedAnswers(documented);
});
afterAll(() => server.stop());

const check = (method: string, path: string, answer: Answered, status?: number) => answers.check(method, path, answer, status);

/** A test that runs once, whether it is its turn or the last test needs what it brings: so their order does not matter. */
function exercise(title: string, run: () => Promise<void>): void {
  let running: Promise<void> | undefined;
  const once = () => {
    running ??= run();
    return running;
  };
  exercises.push(once);
  test(title, once);
}

/** A path with something in its places, of an order that nobody placed. */
function concrete(path: string): string {
  return path.replace("{order_id}", "nobodys");
}

describe("every example", () => {
  exercise("is answered as documented, look-ups after orders", async () => {
    // Examples speak of a server that has had no others. Some show which of two steps ends first, and of two threads a busy processor may
    // hold up one by more than the 50 ms between them: on one thread the steps end in their order, however late. And the deadline is nearer
    // to that of the example that is too late, at five seconds, than to the time that the others take.
    await using fresh = await startService({ THREADS: "1", ORDER_TIMEOUT_MS: "3500" });
    await sendExamples(fresh.port, answers);
  });

  test("is the example of one status, and matches its schema", () => {
    let seen = 0;
    for (const { method, path, operation } of documented.operations) {
      for (const [status, given] of Object.entries<Any>(operation.responses)) {
        const { examples = {} } = documented.resolve(given).content?.["application/json"] ?? {};
        for (const [name, { value }] of Object.entries<Any>(examples)) {
          seen++;
          expect(expectedOf(documented, operation.responses, name)[0]).toBe(Number(status));
          const answer = {
            status: Number(status),
            headers: { "content-type": "application/json", "x-request-id": "a" },
            text: JSON.stringify(value),
          };
          expect([name, documented.offences(method, path, answer)]).toEqual([name, []]);
        }
      }
    }
    expect(seen).toBeGreaterThan(12);
  });
});

describe("every operation", () => {
  exercise("answers as documented what every request may meet", async () => {
    await using hasty = await startService({ HEADERS_TIMEOUT_MS: "150" });
    for (const { method, path } of documented.operations) {
      const target = concrete(path);
      const asked = { method, path: target };
      check(method, path, await send(server.port, { ...asked, headers: { "sec-fetch-site": "cross-site" } }), 403);
      check(method, path, await send(server.port, { ...asked, headers: { expect: "miracles" } }), 417);
      check(method, path, await send(server.port, { ...asked, headers: { long: "x".repeat(20_000) } }), 431);
      check(method, path, await raw(server, `${method} ${target} HTTP/1.1\r\nHost: localhost\r\nno header\r\n\r\n`), 400);
      check(method, path, await raw(hasty, `${method} ${target} HTTP/1.1\r\nHost: localhost\r\n`), 408);
      check(method, path, await behindTooMany(server, `${method} ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`), 503);
      const other = await send(server.port, { ...asked, method: "PATCH" });
      expect([path, other.status, other.headers.allow]).toEqual([path, 405, method === "GET" ? "GET, HEAD" : method]);
    }
  });

  exercise("that has content answers 304 to whoever has it, HEAD without a body, and tells browsers to trust nobody else", async () => {
    for (const path of ["/openapi.json", "/docs", "/docs/page.js"]) {
      const asked = { path };
      const answer = await send(server.port, asked);
      expect(answer.status).toBe(200);
      if (documented.find("GET", path) !== undefined) check("GET", path, answer);
      expect(answer.headers).toMatchObject({ "cache-control": "no-cache", "x-content-type-options": "nosniff" });
      const etag = String(answer.headers.etag);
      for (const headers of [{ "if-none-match": etag }, { "if-none-match": `"other", W/${etag}` }]) {
        const unchanged = await send(server.port, { ...asked, headers });
        expect([path, unchanged.status, unchanged.text, unchanged.headers.etag]).toEqual([path, 304, "", etag]);
      }
      expect((await send(server.port, { ...asked, headers: { "if-none-match": '"other"' } })).status).toBe(200);
      const head = await send(server.port, { ...asked, method: "HEAD" });
      expect(head).toMatchObject({ status: 200, text: "", headers: { "content-length": answer.headers["content-length"] } });
    }
    for (const path of ["/docs/nothing.js", "/docs/", "/docs/index.html", "/docs/..%2f..%2fpackage.json", "/docs/__proto__", "/openapi"]) {
      expect([path, (await send(server.port, { path })).status]).toEqual([path, 404]);
    }
    const { headers } = await send(server.port, { path: "/docs" });
    expect(headers["content-security-policy"]).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';/);
    expect(headers["content-security-policy"]).toContain("frame-ancestors 'none'");
    expect(headers["content-security-policy"]).not.toMatch(/unsafe|\*|data:|https?:/);
    expect(headers).toMatchObject({
      "referrer-policy": "no-referrer",
      "x-frame-options": "DENY",
      "content-type": "text/html; charset=utf-8",
    });
  });

  exercise("that tells of health answers as documented", async () => {
    check("GET", "/healthz", await send(server.port, { path: "/healthz" }), 200);
    check("GET", "/readyz", await send(server.port, { path: "/readyz" }), 200);
  });
});

describe("answers as documented come", () => {
  exercise("to an order that is too large", async () => {
    check("POST", "/order", await postOrder(server.port, " ".repeat(20_000)), 413);
  });

  exercise("to an order whose thread dies", async () => {
    await using fragile = await startService({ THREADS: "1", CPU_THREADS: "1", ORDER_TIMEOUT_MS: String(FOR_EVER_MS) });
    const answer = postOrder(fragile.port, { order_id: "lost", amount: 1, delay_ms: { payment: FOR_EVER_MS } });
    await eventually("one step running and the others done", async () => {
      const { running, finished } = (await send(fragile.adminPort, { path: "/debug/threads" })).json;
      return running === 1 && finished === STEPS.length - 1;
    });
    expect((await send(fragile.adminPort, { method: "POST", path: "/chaos/kill-thread" })).status).toBeLessThan(300);
    check("POST", "/order", await answer, 500);
    expect((await answer).json.error.kind).toBe("internal");
    check("GET", "/order/{order_id}", await send(fragile.port, { path: "/order/lost" }), 200);
  });

  exercise("to whoever comes while there is no room, while it drains, and when it gives up", async () => {
    const full = await startService({ MAX_IN_FLIGHT: "1", ORDER_TIMEOUT_MS: String(FOR_EVER_MS) });
    const running = postOrder(full.port, { order_id: "long", amount: 1, delay_ms: { payment: FOR_EVER_MS } });
    await eventually("an order in flight", () => full.service.orderService.inFlight === 1);
    const overloaded = await postOrder(full.port, { order_id: "more", amount: 1 });
    check("POST", "/order", overloaded, 503);
    expect(overloaded.json.error.kind).toBe("overloaded");
    expect(documented.resolve(documented.find("POST", "/order").responses[503]).headers).toHaveProperty("Retry-After");
    expect(overloaded.headers).toHaveProperty("retry-after");
    const seen = await send(full.port, { path: "/order/long" });
    check("GET", "/order/{order_id}", seen, 200);
    expect(seen.json.status).toBe("running");

    const stopped = full.service.stop();
    const draining = await send(full.port, { path: "/readyz" });
    check("GET", "/readyz", draining, 503);
    const late = await postOrder(full.port, { order_id: "late", amount: 1 });
    check("POST", "/order", late, 503);
    expect(late.json.error.kind).toBe("shutting_down");
    const agent = new Agent({ keepAlive: true });
    const page = await send(full.port, { path: "/docs", agent });
    check("GET", "/docs", page, 200);
    expect(page.headers.connection).toBe("close");
    agent.destroy();
    full.service.cancelAll();
    const canceled = await running;
    check("POST", "/order", canceled, 408);
    expect(canceled.json.error.kind).toBe("canceled");
    await stopped;
  });

  exercise("to look-ups that break a rule, or that the journal cannot serve", async () => {
    check("GET", "/order/{order_id}", await send(server.port, { path: "/order/a?before=0" }), 400);
    const { journal } = server.service;
    const find = vi.spyOn(journal, "find");
    find.mockRejectedValueOnce(new JournalUnavailable("broken"));
    check("GET", "/order/{order_id}", await send(server.port, { path: "/order/a" }), 500);
    find.mockRejectedValueOnce(new JournalBusy("busy"));
    check("GET", "/order/{order_id}", await send(server.port, { path: "/order/a" }), 503);
    find.mockRestore();
  });

  exercise("where providers are real and out of reach", async () => {
    await using real = await startService({ PAYMENT_URL: "http://127.0.0.1:1" });
    const theirs = await Documented.of(real.port);
    expect(theirs.document["x-providers"]).toBe("real");
    expect(Object.keys(theirs.document.components.schemas.Order.properties)).toEqual(["order_id", "amount"]);
    const answer = await postOrder(real.port, { order_id: "a", amount: 1 });
    expect([answer.status, answer.json.error.kind, theirs.offences("POST", "/order", answer)]).toEqual([503, "payment_unavailable", []]);
  });

  exercise("where keys are needed", async () => {
    const directory = mkdtempSync(join(tmpdir(), "keys-"));
    try {
      writeFileSync(join(directory, "keys"), "the-long-enough-key\n");
      await using guarded = await startService({ API_KEYS_FILE: join(directory, "keys") });
      check("POST", "/order", await postOrder(guarded.port, { order_id: "a", amount: 1 }), 401);
      check("GET", "/order/{order_id}", await send(guarded.port, { path: "/order/a" }), 401);
      const headers = { authorization: "Bearer the-long-enough-key" };
      check("POST", "/order", await postOrder(guarded.port, { order_id: "a", amount: 1 }, { headers }), 200);
      check("GET", "/docs", await send(guarded.port, { path: "/docs" }), 200);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  exercise("where a client sends too many orders", async () => {
    await using slow = await startService({ RATE_LIMIT: "1/1" });
    const answers = await Promise.all([1, 2, 3].map((n) => postOrder(slow.port, { order_id: `r-${n}`, amount: 1 })));
    for (const answer of answers) check("POST", "/order", answer);
    expect(answers.map(({ status }) => status)).toContain(429);
  });
});

test("every operation has answered with every status that the document has", async () => {
  for (const run of exercises) await run();
  const all = documented.operations.flatMap(({ method, path, operation }) =>
    Object.keys(operation.responses).map((status) => `${method} ${path} ${status}`),
  );
  expect(all.filter((one) => !answers.seen.has(one))).toEqual([]);
  expect(all.length).toBeGreaterThan(45);
});
