import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Tick } from "../../../src/admin/live/messages.ts";
import { perStep } from "../../../src/orders/steps.ts";
import { CHROMIUM, launchBrowser, SKIPPED } from "../../support/browser.ts";
import { eventually } from "../../support/eventually.ts";
import { newId, postOrder, send } from "../../support/http-client.ts";
import { fail, type OnFile, startOnFile } from "../fixture.ts";
import { colorOf, drawn, NOTE_TICKS, openPage, says, whereIs } from "./open-page.ts";
import { playedTenSeconds } from "./played-events.ts";

const PAINTS = "performance.getEntriesByName('first-contentful-paint').length";
// Some pictures: thirty a second are drawn.
const SOME_PICTURES = 15;

describe.skipIf(CHROMIUM === undefined)(`how the live page looks${SKIPPED}`, () => {
  let file: OnFile;
  let browser: Browser;
  let adminPort: number;
  beforeAll(async () => {
    [file, browser] = await Promise.all([startOnFile({ ORDER_TIMEOUT_MS: "60000" }), launchBrowser()]);
    ({ adminPort } = file.running);
  });
  afterAll(async () => {
    await browser?.close();
    await file?.[Symbol.asyncDispose]();
  });

  test("says first why threads matter, and leads to the README, the API and a trace", async () => {
    await using opened = await openPage(browser, adminPort);
    const { page } = opened;
    const lead = page.locator(".lead");
    expect(await lead.innerText()).toMatch(/^Node runs JavaScript on one thread, .* steps run on several OS threads/);
    for (const name of ["README", "API: docs and trials", "Record 5 s for Perfetto"]) {
      const { port, pathname } = new URL((await lead.getByRole("link", { name }).getAttribute("href")) ?? "", page.url());
      // A trace takes its five seconds.
      if (name.startsWith("Record")) expect(pathname).toBe("/debug/trace");
      else expect([name, (await send(Number(port), { path: pathname })).status]).toEqual([name, 200]);
    }
  });

  test("the first paint waits for the style sheets, and for no script", async () => {
    for (const [held, other] of [
      [".js", ".css"],
      [".css", ".js"],
    ] as const) {
      await using context = await browser.newContext();
      const page = await context.newPage();
      const gate = Promise.withResolvers<void>();
      let came = 0;
      page.on("requestfinished", (request) => {
        if (request.url().endsWith(other)) came++;
      });
      await page.route(`**/*${held}`, async (route) => {
        await gate.promise;
        await route.continue();
      });
      await page.goto(`http://127.0.0.1:${adminPort}/`, { waitUntil: "commit" });
      await eventually("the other files", () => came >= 8);
      if (held === ".js") await eventually("a paint without scripts", () => page.evaluate<number>(PAINTS));
      else {
        // Whatever would be painted without style has had the time of two pictures.
        await page.evaluate("new Promise((resolve) => setTimeout(resolve, 100))");
        expect(await page.evaluate<number>(PAINTS)).toBe(0);
      }
      expect(await page.locator("#link").getAttribute("data-state")).toBe("connecting");
      gate.resolve();
      await eventually("a paint", () => page.evaluate<number>(PAINTS));
      await page.locator('#link[data-state="live"]').waitFor();
    }
  });

  test("forced colors leave the swatches of the legend, and of the plots, as they are", async () => {
    await using opened = await openPage(browser, adminPort);
    const { page } = opened;
    const look = () =>
      page.evaluate<{ swatches: string[]; heading: string }>(`(() => {
        const styleOf = (one) => {
          const { color, backgroundColor, backgroundImage, borderTopColor, borderBottomColor } = getComputedStyle(one);
          return [one.className, color, backgroundColor, backgroundImage, borderTopColor, borderBottomColor].join(" ");
        };
        return { swatches: [...document.querySelectorAll(".key")].map(styleOf), heading: styleOf(document.querySelector("h2")) };
      })()`);
    const before = await look();
    await page.emulateMedia({ colorScheme: "light", forcedColors: "active" });
    const forced = await look();
    expect(before.swatches.length).toBeGreaterThan(20);
    expect(forced.swatches).toEqual(before.swatches);
    // Everything else has the colors of the user.
    expect(forced.heading).not.toBe(before.heading);
    // The pointer lies on the button that was pressed.
    const textColor = () => page.evaluate<string>("getComputedStyle(document.querySelector('[aria-pressed=true]')).color");
    const under = await textColor();
    await page.mouse.move(0, 0);
    expect(await textColor()).toBe(under);
  });

  test("the picture stands still under the pointer, and goes on without it", async () => {
    await using opened = await openPage(browser, adminPort, { reducedMotion: "no-preference" });
    const { page } = opened;
    const client = new AbortController();
    const body = { order_id: newId("held"), amount: 1, delay_ms: { payment: 1, vendor: 60_000, courier: 1 } };
    const left = send(file.running.port, { method: "POST", path: "/order", body, signal: client.signal }).catch(() => {});
    await drawn(page, colorOf("vendor"), 40);
    const pictures = await countPictures(page);
    const where = () => whereIs(page, colorOf("vendor"));
    const somePictures = async () => {
      const before = await pictures();
      await eventually("some pictures", async () => (await pictures()) >= before + SOME_PICTURES);
    };
    // On a busy machine the lanes may have moved on the page between the look and the pointer.
    await eventually("a pointer on the bar", async () => {
      const { left: barLeft, right: barRight, top } = await where();
      const { x = 0, y = 0 } = (await page.locator("#lanes").boundingBox()) ?? {};
      await page.mouse.move(x + (barLeft + barRight) / 2, y + top + 5);
      return /^vendor: running/.test(await page.locator("#lanes-tip").innerText());
    });
    const heldAt = (await where()).left;
    await somePictures();
    expect((await where()).left).toBe(heldAt);
    await page.mouse.move(0, 0);
    await eventually("a bar further left", async () => (await where()).left < heldAt);
    client.abort();
    await left;
  });

  test("the rows of orders stay under the pointer, and go on without it", async () => {
    await using opened = await openPage(browser, adminPort);
    const { page } = opened;
    await page.addInitScript(NOTE_TICKS);
    await page.reload();
    const rows = page.locator("#orders-rows");
    const place = async () => {
      const id = newId("row");
      await postOrder(file.running.port, { order_id: id, amount: 1 });
      return id;
    };
    const first = await place();
    await says(rows, new RegExp(first));
    const shown = await rows.innerText();
    await rows.locator("tr").first().hover();
    await says(page.locator("#orders-hint"), /^the rows stay while you point at them$/);
    const second = await place();
    // Rows are added on every second tick.
    await eventually("some ticks after that order's", async () => {
      const ticks = await page.evaluate<string[]>("ticks");
      const told = ticks.findIndex((tick) => tick.includes(second));
      return told >= 0 && ticks.length > told + 3;
    });
    expect(await rows.innerText()).toBe(shown);
    await page.mouse.move(0, 0);
    await says(rows, new RegExp(second));
  });

  test("the header counts as stuck what has waited for three seconds, and says of which time its figures are", async () => {
    await using opened = await openPage(browser, adminPort);
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
    await using opened = await openPage(browser, adminPort);
    const { page } = opened;
    const refusal = { status: 503, json: { error: { message: "rests now" } } };
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
    await fail(file.running.service.journal, "focus-1", ["payment"]);
    const focused = () => page.evaluate<string>("document.activeElement.textContent");
    await page.locator("#stuck-body").getByRole("button", { name: "More" }).focus();
    for (let looks = 0; looks < 2; looks++) await page.waitForResponse(/\/compensations\?/);
    expect(await focused()).toBe("More");
    await page.getByLabel("Note on payment of focus-1").fill("called");
    await page.getByRole("button", { name: "Settle payment of focus-1" }).press("Enter");
    await told.waitFor();
    expect(await focused()).toBe("Settle");
  });

  test("a paused picture keeps what it shows, however long it is paused", async () => {
    await using opened = await openPage(browser, adminPort);
    const told = JSON.stringify([0, 1, 2].map(playedTenSeconds));
    const [before, after] = await opened.page.evaluate<[string, string]>(`(async () => {
      const [first, ...later] = ${told};
      const { Lanes } = await import("/live/threads/lanes.js");
      const canvas = document.createElement("canvas");
      canvas.style.width = "800px";
      document.body.append(canvas);
      const lanes = new Lanes(canvas, { now: () => 10_000, date: (ms) => new Date(ms) });
      Object.assign(lanes, { isLive: true, steps: first.hello.steps });
      lanes.model.hello(first.hello);
      for (const tick of first.ticks) lanes.model.tick(tick);
      lanes.draw();
      lanes.pause(true);
      lanes.draw();
      const before = canvas.toDataURL();
      for (const { ticks } of later) for (const tick of ticks) lanes.model.tick(tick);
      lanes.draw();
      return [before, canvas.toDataURL()];
    })()`);
    expect(after === before).toBe(true);
  });

  test("what is said within seconds is all announced, also where it is part of what was said before", async () => {
    await using opened = await openPage(browser, adminPort);
    const { page } = opened;
    const announce = (text: string) => page.evaluate(`import("/live/header.js").then(({ announce }) => announce("${text}"))`);
    for (const text of ["not compensated: HTTP 503", "compensated", "compensated"]) await announce(text);
    expect(await page.locator("#announce").textContent()).toBe("not compensated: HTTP 503; compensated");
  });

  test("a plot says what was in the second under the pointer", async () => {
    await using opened = await openPage(browser, adminPort);
    const { page } = opened;
    const plot = page.locator("#plots canvas").first();
    await plot.scrollIntoViewIfNeeded();
    const { x = 0, y = 0, width = 0 } = (await plot.boundingBox()) ?? {};
    // The oldest of sixty points is right of the scale's numbers, and the latest at the edge.
    for (const [at, words] of [
      [36, /^60 s ago$/],
      [36 + (width - 38) / 2, /^(30|31) s ago$/],
      [width - 2, /^1 s ago$/],
    ] as const) {
      await page.mouse.move(x + at, y + 40);
      await says(page.locator("#figures-hint"), words);
    }
  });

  test("the headings of numbers stand over them", async () => {
    await fail(file.running.service.journal, "stuck-1", ["payment"], Date.now() - 3_600_000);
    await using opened = await openPage(browser, adminPort);
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
    await using opened = await openPage(browser, adminPort);
    const { page } = opened;
    const steps = [
      { name: "payment", status: "ok", duration_ms: 150, compensation: "done" },
      { name: "vendor", status: "error", duration_ms: 600, detail: "vendor_unavailable" },
      { name: "courier", status: "canceled", duration_ms: 300, detail: "sibling_failed" },
    ];
    const attempt = {
      attempt: 1,
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
    const order = { order_id: "told", amount: 1, status: "error", attempts_total: 1, attempts: [attempt] };
    await page.route("**/orders/told", (route) => route.fulfill({ json: order }));
    await page.fill("#orders-id", "told");
    await page.keyboard.press("Enter");
    const text = await says(page.locator("#order"), /Attempt 1/);
    expect(text).toMatch(/payment\s+ok\s+150 ms\s+done after 4 tries/);
    expect(text).toMatch(/vendor\s+error: vendor unavailable\s+600 ms\s+not yet/);
    expect(text).toMatch(/not when it began/);
    const widths = await page.evaluate<number[]>(
      `[...document.querySelectorAll("#order .step")].map((one) => Number(one.getAttribute("width")))`,
    );
    expect(widths).toEqual([45, 180, 90]);
    expect(await page.locator("#order .timeline .compensation, #order .timeline .cancel").count()).toBe(0);
  });

  test("ids that a URL loses are of no order, and a look that nobody answers ends", async () => {
    await using opened = await openPage(browser, adminPort);
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
    await page.route("**/orders?*", (route) => route.fulfill({ json: { orders } }));
    await page.getByRole("button", { name: "Try again" }).click();
    await says(page.locator("#orders-rows"), /since 20 Nov 2026.*running[\s\S]*\n20 Nov 2026.*over/);
  });
});

/** Counts the pictures of the lanes from now on. */
async function countPictures(page: Page): Promise<() => Promise<number>> {
  await page.evaluate(`(() => {
    const clear = CanvasRenderingContext2D.prototype.clearRect;
    globalThis.pictures = 0;
    CanvasRenderingContext2D.prototype.clearRect = function (...rest) {
      if (this.canvas.id === "lanes") globalThis.pictures++;
      return clear.apply(this, rest);
    };
  })()`);
  return () => page.evaluate<number>("pictures");
}
