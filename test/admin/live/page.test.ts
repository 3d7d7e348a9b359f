import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { STEPS } from "../../../src/orders/steps.ts";
import { CHROMIUM, SKIPPED } from "../../support/browser.ts";
import { eventually } from "../../support/eventually.ts";
import { newId, postOrder, send } from "../../support/http-client.ts";
import { fail } from "../fixture.ts";
import { colorOf, drawn, makeTrouble, openPage, says, tablesOf } from "./open-page.ts";
import { sharedByTests } from "./shared-by-tests.ts";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const HTML_ID = `<img src=x onerror="document.title='run'"><b>a</b>`;

describe.skipIf(CHROMIUM === undefined)(`the live page${SKIPPED}`, () => {
  const shared = sharedByTests();

  /** Has something stuck from now on for less than a minute: it is compensated then, so a test that began earlier cannot count on it. */
  const stick = (id = newId("stuck")) => fail(shared.file.running.service.journal, id, ["payment"], Date.now() - 3_600_000);

  /** The text of the orders shown, newest first. */
  const ordersOf = (page: Page) => page.locator("#orders-rows");

  test("asks nobody but its own server, and the browser has nothing to complain about", async () => {
    await using opened = await openPage(shared.browser, shared.adminPort, { reducedMotion: "no-preference" });
    const { page, urls, complaints } = opened;
    await makeTrouble(page, "Place an order", /^ok$/);
    await says(ordersOf(page), /demo-\w+\s+ok/);
    for (const step of STEPS) await drawn(page, colorOf(step));
    expect(new Set(urls.map((url) => new URL(url).origin))).toEqual(new Set([`http://127.0.0.1:${shared.adminPort}`]));
    expect(urls.length).toBeGreaterThan(15);
    expect(complaints).toEqual([]);
  });

  test("a step that runs for long has a bar that grows, until its order has ended", async () => {
    await using opened = await openPage(shared.browser, shared.adminPort);
    const { page } = opened;
    const id = newId("long");
    const client = new AbortController();
    const body = { order_id: id, amount: 1, delay_ms: { payment: 1, vendor: 60_000, courier: 1 } };
    const left = send(shared.port, { method: "POST", path: "/order", body, signal: client.signal }).catch(() => {});
    const tables = await tablesOf(page);
    const ages: number[] = [];
    while (ages.length < 2) {
      const row = await says(tables, new RegExp(`${id}\\s+vendor\\s+#\\d+\\s+[\\d.\u202f]+ m?s`));
      const [, age = "", unit] = new RegExp(`${id}\\s+vendor\\s+#\\d+\\s+([\\d.\u202f]+) (m?s)`).exec(row) ?? [];
      const ms = Number(age.replace("\u202f", "")) * (unit === "s" ? 1_000 : 1);
      if (ms !== ages.at(-1)) ages.push(ms);
    }
    const [first = 0, second = 0] = ages;
    expect(first).toBeGreaterThanOrEqual(299);
    expect(second).toBeGreaterThan(first);
    // Nothing of this order has ended as far as the page knows: what there is of this colour is the bar.
    await drawn(page, colorOf("vendor"), 20);
    client.abort();
    await left;
    await says(ordersOf(page), new RegExp(`${id}\\s+canceled`));
    await says(tables, new RegExp(`${id}\\s+client disconnected`));
    expect(await tables.innerText()).not.toMatch(new RegExp(`${id}\\s+vendor`));
  });

  test("its policy keeps scripts in line, of other origins and made of text from running", async () => {
    await using opened = await openPage(shared.browser, shared.adminPort);
    const { page, complaints } = opened;
    const tries = [
      `const made = document.createElement("script"); made.src = "http://127.0.0.1:1/a.js"; document.head.append(made)`,
      `document.body.innerHTML = "<b>a</b>"`,
      `const made = document.createElement("div"); made.setAttribute("style", "color: red"); document.body.append(made)`,
      `const made = document.createElement("img"); made.src = "http://127.0.0.1:1/a.png"; document.body.append(made)`,
      `void fetch("http://127.0.0.1:1/").catch(() => {})`,
    ];
    await page.evaluate(
      `globalThis.breaches = []; addEventListener("securitypolicyviolation", ({ effectiveDirective }) => breaches.push(effectiveDirective))`,
    );
    for (const code of tries) await page.evaluate(`(() => { try { ${code} } catch {} })()`);
    await eventually(
      "a breach for each",
      () => page.evaluate<string[]>("breaches"),
      (breaches) => breaches.length >= tries.length,
    );
    expect(new Set(await page.evaluate<string[]>("breaches"))).toEqual(
      new Set(["require-trusted-types-for", "style-src-attr", "img-src", "connect-src"]),
    );
    expect(complaints.length).toBeGreaterThan(0);
  });

  test("ids with HTML in them are text wherever they stand", async () => {
    await stick(HTML_ID);
    await using opened = await openPage(shared.browser, shared.adminPort);
    const { page, complaints } = opened;
    await page.locator("#stuck-body td.id button", { hasText: HTML_ID }).waitFor();
    const other = `${HTML_ID}2`;
    await postOrder(shared.port, { order_id: other, amount: 1, fail_step: "payment" });
    await page.locator("#orders-rows button", { hasText: other }).click();
    await page.locator("#order h3", { hasText: "Attempt 1" }).waitFor();
    expect(await page.locator("#order-title").innerText()).toBe(other);
    await page.getByRole("button", { name: "Close" }).click();
    const note = page.getByLabel(`Note on payment of ${HTML_ID}`, { exact: true });
    await note.fill(`<script>document.title = "run"</script>`);
    await page.getByRole("button", { name: `Settle payment of ${HTML_ID}`, exact: true }).click();
    await says(page.locator("#stuck-body"), /settled/);
    const made = await page.locator("body img, body b b, main script").count();
    expect([made, await page.title(), complaints]).toEqual([0, "Order pipeline", []]);
  });

  test("orders are found by id and by status, and a click shows all of one", async () => {
    const id = newId("found");
    const failing = { order_id: id, amount: 1_250, fail_step: "vendor", delay_ms: { payment: 1, vendor: 20, courier: 1 } };
    await postOrder(shared.port, failing);
    await postOrder(shared.port, failing);
    await using opened = await openPage(shared.browser, shared.adminPort);
    const { page } = opened;
    await page.fill("#orders-id", id);
    await page.keyboard.press("Enter");
    const dialog = page.locator("#order");
    const text = await says(dialog, /Attempt 2[\s\S]*Attempt 1/);
    expect(text).toMatch(/amount 12\.50 · 2 attempts/);
    expect(text).toMatch(/payment\s+ok\s+\d+ ms\s+done/);
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Look again");
    await page.keyboard.press("Escape");
    await page.selectOption("#orders-status", "error");
    await page.locator("#orders-rows button", { hasText: id }).click();
    await says(dialog, /Attempt 2/);
    await page.keyboard.press("Escape");
    await page.fill("#orders-id", "never-seen");
    await page.getByRole("button", { name: "Find" }).click();
    await says(dialog, /no such order/);
  });

  test("older attempts of an order come once, however often the button is pressed", async () => {
    const id = newId("older");
    for (let attempts = 0; attempts < 22; attempts++) await fail(shared.file.running.service.journal, id, []);
    await using opened = await openPage(shared.browser, shared.adminPort);
    const { page, urls } = opened;
    await page.fill("#orders-id", id);
    await page.keyboard.press("Enter");
    await page.evaluate(
      "globalThis.limit = AbortSignal.timeout; AbortSignal.timeout = () => AbortSignal.abort(new DOMException('', 'TimeoutError'))",
    );
    await page.getByRole("button", { name: "Older attempts" }).click();
    await says(page.locator("#order"), /no answer within 10 s/);
    await page.evaluate("AbortSignal.timeout = limit");
    await page.getByRole("button", { name: "Older attempts" }).waitFor();
    await page.evaluate(`for (let times = 0; times < 2; times++) [...document.querySelectorAll("#order button")].at(-1).click()`);
    await page
      .locator("#order h3", { hasText: /^Attempt 1 / })
      .first()
      .waitFor();
    expect(urls.filter((url) => url.includes("?before="))).toHaveLength(1);
    expect(await page.locator("#order h3").count()).toBe(22);
    // It is gone, and the focus with it. Keys move nothing behind the dialog.
    await eventually("the body to have the focus", () => page.evaluate<boolean>("document.activeElement === document.body"));
    await page.keyboard.press("Space");
    expect(await page.getByRole("button", { name: /^Pause/, includeHidden: true }).getAttribute("aria-pressed")).toBe("false");
  });

  test("nothing jumps while it loads, the first paint waits for little, and a narrow page keeps the lanes beside the buttons", async () => {
    await using opened = await openPage(shared.browser, shared.adminPort);
    const { page } = opened;
    await page.addInitScript(
      `globalThis.shifts = []; new PerformanceObserver((list) => shifts.push(...list.getEntries().map(({ value }) => value))).observe({ type: "layout-shift", buffered: true })`,
    );
    for (const width of [1280, 390]) {
      await stick();
      await page.setViewportSize({ width, height: 844 });
      await page.reload();
      await page.locator("#stuck-body tbody tr").first().waitFor();
      await says(page.locator("#figures-hint"), /per second/);
      const shift = (await page.evaluate<number[]>("shifts")).reduce((sum, one) => sum + one, 0);
      const paintMs = await page.evaluate<number>("performance.getEntriesByName('first-contentful-paint')[0].startTime");
      console.info(`${width} pixels wide: first paint after ${Math.round(paintMs)} ms, layout shift ${shift.toFixed(4)}`);
      expect(shift).toBeLessThan(0.05);
    }
    for (const width of [390, 768]) {
      await page.setViewportSize({ width, height: 844 });
      await page.evaluate("document.querySelector('.explained').scrollIntoView({ block: 'center' })");
      const { y = -1, height = 0 } = (await page.locator("#lanes").boundingBox()) ?? {};
      expect([y >= 0, y + height <= 844]).toEqual([true, true]);
      // Nothing lies on the head of the lanes, whose buttons one needs meanwhile.
      const { x, y: top, width: wide } = (await page.locator("#lanes-controls button").first().boundingBox()) ?? { x: 0, y: 0, width: 0 };
      expect(
        await page.evaluate(`document.elementFromPoint(${x + wide / 2}, ${top + 2})?.closest("#lanes-controls") instanceof Element`),
      ).toBe(true);
    }
  });

  test("names its node and the others of its cluster", async () => {
    await using opened = await openPage(shared.browser, shared.adminPort);
    const { page } = opened;
    // As of a service on PostgreSQL, which takes longer to start than all of this file.
    await page.route("**/nodes", (route) => route.fulfill({ json: { nodes: [{ name: "shop-1" }, { name: "shop-2" }] } }));
    await page.addInitScript(`globalThis.EventSource = class extends EventSource {
      addEventListener(type, listener) {
        super.addEventListener(type, ({ data }) => listener({ data: data.replace('{"pid":', '{"node":"shop-1","pid":') }));
      }
    }`);
    await page.reload();
    await says(page.locator("#link-text"), /^live, node shop-1 \(others: shop-2\), process \d+$/);
  });

  test("Tab reaches every button, link and field; Space pauses the picture, and arrows step", async () => {
    await using opened = await openPage(shared.browser, shared.adminPort);
    const { page } = opened;
    await stick();
    await page.locator("#stuck-body tbody tr").first().waitFor();
    const pause = page.getByRole("button", { name: /^Pause/ });
    await page.locator("#threads").focus();
    for (const [key, pressed] of [
      ["Space", "true"],
      ["Space", "false"],
      ["ArrowLeft", "true"],
    ] as const) {
      await page.keyboard.press(key);
      expect(await pause.getAttribute("aria-pressed")).toBe(pressed);
    }
    const missed = await page.evaluate<string[]>(`[...document.querySelectorAll("a[href], button, input, select, summary")]
      .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled)
      .filter((one) => { one.focus(); return document.activeElement !== one || one.tabIndex < 0; }).map((one) => one.outerHTML)`);
    expect(missed).toEqual([]);
    await page.evaluate("document.activeElement.blur(); scrollTo(0, 0)");
    const reached = new Set<string>();
    for (let n = 0; n < 40; n++) {
      await page.keyboard.press("Tab");
      reached.add(await page.evaluate<string>("document.activeElement.textContent"));
    }
    for (const name of ["Pause", "No courier", "Crash the process", "Retry all"]) expect([...reached]).toContain(name);
  });

  test("axe finds nothing serious, light and wide, dark and narrow, and nothing is wider than the window", async () => {
    await using opened = await openPage(shared.browser, shared.adminPort);
    const { page } = opened;
    const tables = await tablesOf(page);
    // On a busy machine the payment may fail before the vendor has a thread.
    await eventually("a vendor on a thread of its own", async () => {
      await makeTrouble(page, "Fail a payment", /declined/);
      return /exclusive\t\d\t[1-9]/.test(await tables.innerText());
    });
    await page.locator("#orders-rows tr").first().waitFor();
    await stick();
    await page.locator("#stuck-body tbody tr").first().waitFor();
    await page.locator("#figures-details summary").click();
    await page.evaluate(AXE);
    const offences = async () => {
      const { violations } = await page.evaluate<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }>(
        "axe.run({ resultTypes: ['violations'] })",
      );
      return violations.filter(({ impact }) => /serious|critical/.test(impact)).map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
    };
    const backgrounds: string[] = [];
    for (const [colorScheme, width] of [
      ["light", 1280],
      ["dark", 390],
    ] as const) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 844 });
      expect(await offences()).toEqual([]);
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(width);
      backgrounds.push(await page.evaluate<string>("getComputedStyle(document.body).backgroundColor"));
      await page.locator("#orders-rows button").first().click();
      await page.locator("#order h3").first().waitFor();
      expect(await offences()).toEqual([]);
      await page.getByRole("button", { name: "Close" }).click();
    }
    expect(new Set(backgrounds).size).toBe(2);
  });
});
