import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ERROR_ANSWERS } from "../../src/http/status.ts";
import { CHROMIUM, launchBrowser, SKIPPED } from "../support/browser.ts";
import { send } from "../support/http-client.ts";
import { startService, type TestService } from "../support/service.ts";
import { Documented } from "./documented.ts";

// The source of axe, the accessibility checker, as it runs in a page.
const axe = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");
// To look at all of the page takes the checker more than a second; what is the same whatever the colours and the width are is looked at once.
const OF_COLORS = ["color-contrast", "link-in-text-block"];
const OF_WIDTH = ["target-size", "scrollable-region-focusable"];

describe.skipIf(CHROMIUM === undefined)(`the page of the API docs${SKIPPED}`, () => {
  let server: TestService;
  let browser: Browser;
  beforeAll(async () => {
    server = await startService();
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await server?.stop();
  });

  /** Opens the page. `seen` collects what it asks for and what the browser complains about. */
  async function open(port = server.port, hash = "") {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    const page = await context.newPage();
    const seen = { urls: [] as string[], complaints: [] as string[] };
    page.on("request", (request) => seen.urls.push(request.url()));
    page.on("pageerror", (error) => seen.complaints.push(error.message));
    page.on("console", (message) => {
      // An answer that is an error is what some examples are for.
      if (message.type() !== "log" && !/the server responded with a status of/.test(message.text())) seen.complaints.push(message.text());
    });
    await page.goto(`http://127.0.0.1:${port}/docs${hash}`);
    await page.waitForSelector("main[aria-busy=false]");
    return { page, seen, [Symbol.asyncDispose]: () => context.close() };
  }

  /** Sends what is in the form of an operation and waits for what came of it. */
  async function sendForm(page: Page, operation: string): Promise<string> {
    const form = page.locator(`#${operation} .trial`);
    const answered = page.waitForResponse((response) => response.request().resourceType() === "fetch");
    await form.getByRole("button", { name: "Send" }).click();
    await answered;
    await form.locator(".result .status").waitFor();
    return await form.locator(".result").innerText();
  }

  test("shows the whole document, and asks nobody but its own server", async () => {
    await using opened = await open();
    const { page, seen } = opened;
    const { operations, document } = await Documented.of(server.port);
    for (const { operation, method, path } of operations) {
      expect(await page.locator(`#${operation.operationId} h3`).innerText()).toBe(`${method} ${path}`);
      const statuses = await page.locator(`#${operation.operationId} .answers > details > summary .status`).allInnerTexts();
      const given = Object.entries<{ $ref?: string }>(operation.responses);
      const [own, common] = [false, true].map((isCommon) =>
        given.flatMap(([status, { $ref }]) => (($ref !== undefined) === isCommon ? [status] : [])),
      );
      expect(statuses).toEqual(own);
      expect(await page.locator(`#${operation.operationId} .answers > p`).innerText()).toBe(
        `Besides: answers to any request (${common?.join(", ")})`,
      );
    }
    expect(await page.locator("#common-answers .answers > details").count()).toBe(Object.keys(document.components.responses).length);
    expect(await page.locator("#error-kinds tbody td:first-child").allInnerTexts()).toEqual(Object.keys(ERROR_ANSWERS));
    expect(await page.locator("#schemas h3").allInnerTexts()).toEqual(Object.keys(document.components.schemas));
    // Every link within the page leads somewhere.
    const links = await page
      .locator('main a[href^="#"], nav a[href^="#"]')
      .evaluateAll((all) => all.map((link) => link.getAttribute("href")));
    expect(links.length).toBeGreaterThan(10);
    for (const link of new Set(links)) expect([link, await page.locator(String(link)).count()]).toEqual([link, 1]);

    expect(new Set(seen.urls.map((url) => new URL(url).origin))).toEqual(new Set([`http://127.0.0.1:${server.port}`]));
    expect(seen.urls.length).toBeGreaterThan(5);
    expect(seen.complaints).toEqual([]);
  });

  test("its contents can be opened after a narrow window became a wide one", async () => {
    await using opened = await open();
    const { page } = opened;
    await page.setViewportSize({ width: 390, height: 844 });
    await page.reload();
    await page.waitForSelector("main[aria-busy=false]");
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.locator("nav summary").click({ timeout: 10_000 });
    await page.locator("nav a").first().waitFor({ timeout: 10_000 });
  });

  test("goes to the place that its address names, and shows the document where that is none", async () => {
    await using at = await open(server.port, "#error-kinds");
    expect(await at.page.evaluate("scrollY")).toBeGreaterThan(0);
    await using nowhere = await open(server.port, "#%");
    expect(await nowhere.page.locator("#error-kinds").count()).toBe(1);
  });

  test("sends its examples and shows what comes back", async () => {
    await using opened = await open();
    const { page, seen } = opened;
    await page.selectOption("#placeOrder-example", "vendor_fails");
    expect(await sendForm(page, "placeOrder")).toMatch(/^503 after \d+ ms[\s\S]*"vendor_unavailable"/);

    await page.selectOption("#placeOrder-example", "placed");
    const body = JSON.parse(await page.inputValue("#placeOrder-body"));
    expect(body.order_id).toMatch(/^first-\w+$/);
    expect(await sendForm(page, "placeOrder")).toMatch(/^200 after/);
    expect(await sendForm(page, "placeOrder")).toContain("idempotent-replayed: true");
    expect((await send(server.port, { path: `/order/${body.order_id}` })).json.status).toBe("ok");
    await page.selectOption("#placeOrder-example", "other_amount");
    expect(await sendForm(page, "placeOrder")).toMatch(/^409 after[\s\S]*order_conflict/);

    expect(await sendForm(page, "showOrder")).toMatch(/^200 after[\s\S]*"attempts_total": 1/);
    await page.getByRole("button", { name: "New ids" }).first().click();
    expect(JSON.parse(await page.inputValue("#placeOrder-body")).order_id).not.toBe(body.order_id);
    expect(await sendForm(page, "showOrder")).toMatch(/^404 after/);
    expect(await sendForm(page, "isReady")).toMatch(/^200 after[\s\S]*"ready"/);
    expect(seen.complaints).toEqual([]);
  });

  test("has the shortest command first, and a button that copies it, or selects it where there is no clipboard", async () => {
    await using opened = await open();
    const { page } = opened;
    const command = page.locator("#placeOrder .command");
    const text = await command.locator("code").innerText();
    expect(text).toMatch(/^curl -i \\\n {2}-d '\{"order_id":"first-\w+","amount":1200\}' \\\n {2}'http:\/\/127\.0\.0\.1:\d+\/order'$/);
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await command.getByRole("button", { name: "Copy" }).click();
    await command.getByText("Copied").waitFor();
    expect(await page.evaluate("navigator.clipboard.readText()")).toBe(text);
    await page.evaluate(`Object.defineProperty(navigator, "clipboard", { value: undefined })`);
    await page.locator("#isAlive .command button").click();
    await page.locator("#isAlive .command").getByText("Selected").waitFor();
    expect(await page.evaluate("getSelection().toString()")).toMatch(/^curl -i 'http\S+healthz'$/);
  });

  test("has commands that send what its forms send: the body as it was typed, and the key that another form was given", async () => {
    await using opened = await open();
    const { page } = opened;
    await page.fill("#placeOrder-body", `{ "order_id": "a \\" b", "amount": 1, "amount": 9007199254740990.9 }`);
    expect(await page.locator("#placeOrder .command").innerText()).toContain(
      `'{"order_id":"a \\" b","amount":1,"amount":9007199254740990.9}'`,
    );
    await page.locator("#placeOrder details.headers summary").click();
    await page.fill("#placeOrder-key", "a-key");
    await page.locator("#placeOrder-key").blur();
    for (const operation of ["placeOrder", "showOrder"]) {
      expect([operation, await page.locator(`#${operation} .command`).innerText()]).toEqual([
        operation,
        expect.stringContaining("-H 'Authorization: Bearer KEY'"),
      ]);
    }
  });

  test("shows HTML in an order's id as text", async () => {
    await using opened = await open();
    const { page, seen } = opened;
    const id = `<img src="x" onerror="document.title='run'"><b>a</b>'`;
    await page.fill("#placeOrder-body", JSON.stringify({ order_id: id, amount: 1 }));
    expect(await page.locator("#placeOrder .command").innerText()).toContain(`<b>a</b>'\\''`);
    expect(await sendForm(page, "placeOrder")).toContain(`"order_id": ${JSON.stringify(id)}`);
    expect(await page.locator("main img, main b").count()).toBe(0);
    await page.fill("#placeOrder-body", `{"order_id":"a","amount":1,"<img src=x>":1}`);
    expect(await sendForm(page, "placeOrder")).toMatch(/^400 after[\s\S]*<img src=x>: is not a known field/);
    expect([await page.title(), await page.locator("main img").count(), seen.complaints]).toEqual(["API docs · Order Pipeline", 0, []]);
  });

  test("can be used with the keyboard alone", async () => {
    await using opened = await open();
    const { page } = opened;
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Skip to the operations");
    await page.keyboard.press("Enter");
    const reached: string[] = [];
    for (let steps = 0; steps < 40 && !reached.includes("Send"); steps++) {
      await page.keyboard.press("Tab");
      reached.push(await page.evaluate<string>("document.activeElement.id || document.activeElement.textContent"));
    }
    expect(reached).toEqual(expect.arrayContaining(["placeOrder-example", "placeOrder-body", "Headers", "Send"]));
    await page.keyboard.press("Enter");
    await page.locator("#placeOrder .result .status").waitFor();
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Send");
  });

  test("fits a wide and a narrow window and is accessible, in light and dark", async () => {
    await using opened = await open();
    const { page } = opened;
    await page.evaluate(`for (const details of document.querySelectorAll("details")) details.open = true`);
    await page.evaluate(axe);
    const offences = async (runOnly?: readonly string[]) => {
      const { violations } = await page.evaluate<{ violations: { id: string; nodes: { html: string }[] }[] }>(
        `axe.run(${JSON.stringify({ ...(runOnly !== undefined && { runOnly }) })})`,
      );
      return violations.map(({ id, nodes }) => [id, nodes[0]?.html]);
    };
    const background = () => page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
    const width = () => page.evaluate<number>("document.documentElement.scrollWidth");
    expect([await width(), await offences()]).toEqual([1280, []]);
    const light = await background();
    await page.emulateMedia({ colorScheme: "dark" });
    expect([await width(), await offences(OF_COLORS)]).toEqual([1280, []]);
    expect(await background()).not.toBe(light);
    await page.setViewportSize({ width: 390, height: 900 });
    expect([await width(), await offences(OF_WIDTH)]).toEqual([390, []]);
  });

  test("places no real order without being told that it is paid for", async () => {
    await using real = await startService({ PAYMENT_URL: "http://127.0.0.1:1" });
    await using opened = await open(real.port);
    const { page, seen } = opened;
    await page.locator("#placeOrder button[type=submit]").click();
    expect(await page.locator("#placeOrder form:invalid").count()).toBe(1);
    await page.locator("#placeOrder input[type=checkbox]").check();
    expect(await sendForm(page, "placeOrder")).toMatch(/^503 after/);
    expect(seen.urls.filter((url) => url.endsWith("/order"))).toHaveLength(1);
  });

  test("says so where the document cannot be read", async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.route("**/openapi.json", (route) => route.fulfill({ status: 503, body: "" }));
    await page.goto(`http://127.0.0.1:${server.port}/docs`);
    expect(await page.getByRole("alert").innerText()).toBe("openapi.json could not be read: the server answered 503");
    await context.close();
  });
});
