import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import type { Tick } from "../../../src/admin/live/messages.ts";
import { perStep } from "../../../src/orders/steps.ts";
import { CHROMIUM, SKIPPED } from "../../support/browser.ts";
import { eventually } from "../../support/eventually.ts";
import { fail } from "../fixture.ts";
import { openPage, press, says } from "./open-page.ts";
import { playedTenSeconds } from "./played-events.ts";
import { sharedByTests } from "./shared-by-tests.ts";

const refusal = { status: 503, json: { error: { message: "rests now" } } };
const focused = (page: Page) => page.evaluate<string>("document.activeElement.textContent.slice(0, 40)");

describe.skipIf(CHROMIUM === undefined)(`what the live page says${SKIPPED}`, () => {
  const shared = sharedByTests();

  test("the header counts as stuck what has waited for three seconds, and says of which time its figures are", async () => {
    await using opened = await openPage(shared.browser, shared.adminPort);
    const { page } = opened;
    const { hello, ticks } = playedTenSeconds(0);
    const [tick] = ticks as [Tick];
    const at = (ms: number, count: number, p99: number) => {
      const compensations = { ...perStep(() => ({ count: 0, oldest_s: 0 })), payment: { count, oldest_s: 90 } };
      const changed = { now: hello.now + ms, backlog: { ...tick.backlog, compensations }, order_ms: { p50: 1, p99 } };
      return `event: tick\ndata: ${JSON.stringify({ ...tick, ...changed })}\n\n`;
    };
    const streams = [
      // Three more have come.
      [at(250, 1, 613), at(500, 4, 77), at(750, 4, 77), at(1_000, 4, 77)],
      [at(4_000, 4, 77), at(4_250, 4, 77), at(4_500, 4, 77), at(4_750, 4, 77)],
      [at(15_000, 4, 77), at(15_250, 4, 77), at(15_500, 4, 77), at(15_750, 4, 77)],
    ];
    let gate = Promise.withResolvers<void>();
    await page.route("**/events", async (route) => {
      const stream = streams.shift();
      if (stream === undefined) return;
      await gate.promise;
      gate = Promise.withResolvers();
      await route.fulfill({ contentType: "text/event-stream", body: `event: hello\ndata: ${JSON.stringify(hello)}\n\n${stream.join("")}` });
    });
    await page.reload();
    const [alarm, glance] = [page.locator("#alarm"), page.locator("#glance")];
    gate.resolve();
    await says(alarm, /^1 stuck, oldest 90 s$/);
    await says(glance, /^last 10 s\s[\s\S]*worst p99\s+613 ms[\s\S]*\snow\s/);
    gate.resolve();
    await says(alarm, /^4 stuck, oldest 90 s$/);
    expect(await glance.innerText()).toMatch(/worst p99\s+613 ms/);
    gate.resolve();
    await says(glance, /worst p99\s+77 ms/);
  });

  test("a list that could not be read is read again, and neither that nor a refusal takes the focus", async () => {
    await using opened = await openPage(shared.browser, shared.adminPort);
    const { page } = opened;
    await page.route("**/dead-letters?*", (route) => route.fulfill(refusal));
    await page.reload();
    const told = page.locator("#stuck-body").getByText("rests now");
    await told.waitFor();
    await page.unroute("**/dead-letters?*");
    await told.waitFor({ state: "detached" });
    await page.route("**/compensations?*", async (route) => {
      const response = await route.fetch();
      await route.fulfill({ json: { ...(await response.json()), next_cursor: "1" } });
    });
    await page.route("**/settle", (route) => route.fulfill(refusal));
    await fail(shared.file.running.service.journal, "focus-1", ["payment"]);
    await page.locator("#stuck-body").getByRole("button", { name: "More" }).focus();
    for (let looks = 0; looks < 2; looks++) await page.waitForResponse(/\/compensations\?/);
    expect(await focused(page)).toBe("More");
    await page.getByLabel("Note on payment of focus-1").fill("called");
    await page.getByRole("button", { name: "Settle payment of focus-1" }).press("Enter");
    await told.waitFor();
    expect(await focused(page)).toBe("Settle");
    // Until it is answered it is asked for once, and whoever went elsewhere meanwhile stays there.
    const gate = Promise.withResolvers<void>();
    let requests = 0;
    await page.route("**/settle", async (route) => {
      requests++;
      await gate.promise;
      await route.fulfill(refusal);
    });
    await page.keyboard.press("Enter");
    await told.waitFor({ state: "detached" });
    await page.keyboard.press("Enter");
    await page.getByLabel("Note on payment of focus-1").press("Enter");
    await page.locator("h1").click();
    gate.resolve();
    await told.waitFor();
    expect(requests).toBe(1);
    expect(await page.evaluate("document.activeElement === document.body")).toBe(true);
  });

  test("what is said within seconds is all announced, also where it is part of what was said before", async () => {
    await using opened = await openPage(shared.browser, shared.adminPort);
    const { page } = opened;
    const announce = (text: string) => page.evaluate(`import("/live/header.js").then(({ announce }) => announce("${text}"))`);
    for (const text of ["not compensated: HTTP 503", "compensated", "compensated"]) await announce(text);
    expect(await page.locator("#announce").textContent()).toBe("not compensated: HTTP 503; compensated");
    // However long something is said every two seconds, no more is said again each time than what was said just before.
    // In one turn: the page would take a clock that is ahead for a connection that is silent.
    const announced = await page.evaluate<string>(`import("/live/header.js").then(({ announce }) => {
      let nowMs = performance.now() + 1e9;
      performance.now = () => nowMs;
      for (const text of ["one", "two", "three"]) {
        nowMs += 2_000;
        announce(text);
      }
      delete performance.now;
      return document.querySelector("#announce").textContent;
    })`);
    expect(announced).toBe("two; three");
  });

  test("a receiver that is disabled again is not said to be resumed", async () => {
    await using opened = await openPage(shared.browser, shared.adminPort);
    const { page } = opened;
    await page.route("**/webhooks/resume", (route) => route.fulfill({ json: { receiver: "up" } }));
    await page.evaluate(`import("/live/stuck/upkeep.js").then(({ upkeep }) => {
      globalThis.show = upkeep(() => {});
      show("disabled");
    })`);
    await page.getByRole("button", { name: "Resume" }).click();
    await page.locator("#upkeep-body").getByText("resumed: up").waitFor();
    await page.evaluate(`show("up"), show("disabled")`);
    expect(await page.locator("#upkeep-body").innerText()).not.toContain("resumed");
  });

  test("where no thread is killed, what becomes of the orders for it is no fault of the page", async () => {
    await using opened = await openPage(shared.browser, shared.adminPort);
    const { page, complaints } = opened;
    const gate = Promise.withResolvers<void>();
    await page.route("**/chaos/kill-thread", (route) => route.fulfill(refusal));
    await page.route("**/chaos/orders", (route) => gate.promise.then(() => route.fulfill(refusal)));
    await (await press(page, "Kill a thread"))(/rests now/);
    gate.resolve();
    // A fault that follows, so that one before it has been reported.
    await page.evaluate(
      `void fetch("/chaos/orders", { method: "POST" }).then((last) => last.text()).then(() => { throw new Error("last"); })`,
    );
    await eventually("the last fault", () => complaints.includes("last"));
    expect(complaints).toEqual(["last"]);
  });

  test("the headings of numbers stand over them", async () => {
    await fail(shared.file.running.service.journal, "stuck-1", ["payment"], Date.now() - 3_600_000);
    await using opened = await openPage(shared.browser, shared.adminPort);
    const { page } = opened;
    await says(page.locator("#stuck-body"), /stuck-1/);
    const aligned = await page.evaluate<[string, string, string][]>(`(() => {
      const table = [...document.querySelectorAll("#stuck-body table")].find((one) => one.querySelector("tbody tr") !== null);
      const cells = [...table.querySelector("tbody tr").cells];
      return [...table.querySelectorAll("th")].map((th, n) => [th.textContent, ...[th, cells[n]].map((one) => getComputedStyle(one).textAlign)]);
    })()`);
    expect(aligned.filter(([, , cell]) => cell === "right").map(([name]) => name)).toEqual(["Owed", "Tries"]);
    expect(aligned.filter(([, heading, cell]) => (heading === "right") !== (cell === "right"))).toEqual([]);
  });

  test("the dialog of an order shows how long its steps took, and no times that nobody knows", async () => {
    await using opened = await openPage(shared.browser, shared.adminPort);
    const { page } = opened;
    const steps = [
      { name: "payment", status: "ok", duration_ms: 150, compensation: "done" },
      { name: "vendor", status: "error", duration_ms: 600, detail: "vendor_unavailable" },
      { name: "courier", status: "canceled", duration_ms: 300, detail: "sibling_failed" },
    ];
    const attempt = {
      attempt: 2,
      status: "error",
      accepted_at: "2026-11-24T04:00:00.000Z",
      ended_at: "2026-11-24T04:00:00.610Z",
      steps,
      error: { kind: "vendor_unavailable", message: "order failed" },
      compensations: [
        { step: "payment", status: "done", tries: 4 },
        { step: "vendor", status: "pending", tries: 1 },
      ],
    };
    const order = { order_id: "told", amount: 1, status: "error", attempts_total: 2, attempts: [attempt] };
    await page.route("**/orders/told", (route) => route.fulfill({ json: order }));
    await page.route("**/orders/told?before=2", (route) => route.fulfill(refusal));
    await page.fill("#orders-id", "told");
    await page.keyboard.press("Enter");
    const text = await says(page.locator("#order"), /Attempt 2/);
    expect(text).toMatch(/payment\s+ok\s+150 ms\s+done after 4 tries/);
    expect(text).toMatch(/vendor\s+error: vendor unavailable\s+600 ms\s+not yet/);
    expect(text).toMatch(/not when it began/);
    const widths = await page.evaluate<number[]>(
      `[...document.querySelectorAll("#order .step")].map((one) => Number(one.getAttribute("width")))`,
    );
    expect(widths).toEqual([45, 180, 90]);
    expect(await page.locator("#order .timeline .compensation, #order .timeline .cancel").count()).toBe(0);
    await page.getByRole("button", { name: "Older attempts" }).press("Enter");
    await says(page.locator("#order"), /rests now/);
    expect(await focused(page)).toBe("Older attempts");
  });

  test("ids that a URL loses are of no order, and a look that nobody answers ends", async () => {
    await using opened = await openPage(shared.browser, shared.adminPort);
    const { page, complaints } = opened;
    const lookUp = async (id: string, words: RegExp) => {
      await page.fill("#orders-id", id);
      await page.keyboard.press("Enter");
      await says(page.locator("#order"), words);
      await page.getByRole("button", { name: "Close" }).click();
    };
    await lookUp(".", /no such order/);
    await lookUp("..", /no such order/);
    expect(complaints).toEqual([]);
    // Its time is over at once.
    await page.evaluate(
      "globalThis.limit = AbortSignal.timeout; AbortSignal.timeout = () => AbortSignal.abort(new DOMException('', 'TimeoutError'))",
    );
    await lookUp("hangs", /no answer within 10 s/);
    await page.locator("#orders-status").selectOption("ok");
    await says(page.locator("#orders-more"), /no answer within 10 s/);
    // It can be asked for again, and says of which day a row is and what has not ended.
    await page.evaluate("AbortSignal.timeout = limit");
    const listed = { accepted_at: "2026-11-20T04:00:00.000Z", status: "ok" };
    const orders = [
      { order_id: "running", ...listed },
      { order_id: "over", ...listed, ended_at: "2026-11-20T04:00:01.000Z" },
    ];
    await page.route("**/orders?*", (route) => route.fulfill({ json: { orders, next_cursor: "1" } }));
    await page.getByRole("button", { name: "Try again" }).press("Enter");
    await says(page.locator("#orders-rows"), /since 20 Nov 2026.*running[\s\S]*\n20 Nov 2026.*over/);
    expect(await focused(page)).toBe("More");
  });
});
