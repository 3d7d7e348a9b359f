import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { eventually } from "../../support/eventually.ts";

export interface OpenPage extends AsyncDisposable {
  readonly page: Page;
  /** What it asked for. */
  readonly urls: readonly string[];
  /** What the browser complained about: faults of scripts, breaches of the policy. */
  readonly complaints: readonly string[];
}

/** Opens the live page and waits until it is live. */
export async function openPage(browser: Browser, adminPort: number, options: BrowserContextOptions = {}): Promise<OpenPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const urls: string[] = [];
  const complaints: string[] = [];
  page.on("request", (request) => urls.push(request.url()));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    // Refusals and lost connections are what some tests are about, and it is tests that read the canvas.
    if (!/^Failed to load resource|^Canvas2D: Multiple readback/.test(message.text())) complaints.push(message.text());
  });
  await page.goto(`http://127.0.0.1:${adminPort}/`);
  await page.locator('#link[data-state="live"]').waitFor();
  return { page, urls, complaints, [Symbol.asyncDispose]: () => context.close() };
}

/** Presses a button of the trouble panel. One at a time: a browser has one pointer. Returns what waits until the words beside it match. */
export async function press(page: Page, name: string): Promise<(says: RegExp) => Promise<string>> {
  const item = page.locator(".troubles li", { has: page.getByRole("button", { name, exact: true }) });
  await item.getByRole("button").click();
  return (says) =>
    eventually(
      `${says} beside ${name}`,
      () => item.locator("output").innerText(),
      (text) => says.test(text),
    );
}

/** Presses one and waits for what came of it. */
export async function makeTrouble(page: Page, name: string, says: RegExp): Promise<void> {
  await (await press(page, name))(says);
}

/** How many pixels of the lanes have about this colour of the style sheet. */
export function pixelsOf(page: Page, color: string): Promise<number> {
  return page.evaluate<number>(`(() => {
    const canvas = document.getElementById("lanes");
    const [r, g, b] = getComputedStyle(document.documentElement).getPropertyValue("--${color}").trim().match(/[0-9a-f]{2}/gi).map((two) => parseInt(two, 16));
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
      if (Math.abs(data[at] - r) + Math.abs(data[at + 1] - g) + Math.abs(data[at + 2] - b) < 12 && data[at + 3] > 200) count++;
    }
    return count;
  })()`);
}
