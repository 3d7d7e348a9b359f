import { setTimeout as pause } from "node:timers/promises";
import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";
import { STEPS, type StepName } from "../../../src/orders/steps.ts";
import { eventually } from "../../support/eventually.ts";

// To ask a page for its words costs it a layout; one that is asked all the time has time for nothing else.
const LOOK_EVERY_MS = 40;

/** Has a page keep the text of every tick that it is told. */
export const NOTE_TICKS = `(() => {
  globalThis.ticks = [];
  const Before = EventSource;
  globalThis.EventSource = class extends Before {
    constructor(url) {
      super(url);
      this.addEventListener("tick", ({ data }) => ticks.push(data));
    }
  };
})()`;

export interface OpenPage extends AsyncDisposable {
  readonly page: Page;
  /** What it asked for. */
  readonly urls: readonly string[];
  /** What the browser complained about: faults of scripts, breaches of the policy. */
  readonly complaints: readonly string[];
}

/**
 * Opens the live page and waits until it is live. Nothing moves on it unless `options` say so: thirty pictures a second would be
 * most of what a test of anything else costs.
 */
export async function openPage(browser: Browser, adminPort: number, options: BrowserContextOptions = {}): Promise<OpenPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: "reduce", ...options });
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
  // What a test looks for stays longer in the picture.
  await page.getByRole("button", { name: "10 s in the picture" }).click();
  return {
    page,
    urls,
    complaints,
    async [Symbol.asyncDispose]() {
      // The page asks all the time, and what a test put in between may be on its way.
      await page.unrouteAll({ behavior: "ignoreErrors" });
      await context.close();
    },
  };
}

/** Waits until the words of a place match, and gives them. */
export function says(place: Locator, words: RegExp): Promise<string> {
  return eventually(
    String(words),
    async () => {
      await pause(LOOK_EVERY_MS);
      return place.innerText();
    },
    (text) => words.test(text),
  );
}

/** The tables below the lanes, which say what the canvas shows. */
export async function tablesOf(page: Page): Promise<Locator> {
  if ((await page.locator("#threads-details").getAttribute("open")) === null) await page.locator("#threads-details summary").click();
  return page.locator("#threads-table");
}

/** Presses a button of the trouble panel. One at a time: a browser has one pointer. Returns what waits until the words beside it match. */
export async function press(page: Page, name: string): Promise<(words: RegExp) => Promise<string>> {
  const item = page.locator(".troubles li", { has: page.getByRole("button", { name, exact: true }) });
  await item.getByRole("button").click();
  return (words) => says(item.locator("output"), words);
}

/** Presses one and waits for what came of it. */
export async function makeTrouble(page: Page, name: string, words: RegExp): Promise<void> {
  await (await press(page, name))(words);
}

/** The colour of the style sheet that a step has. */
export function colorOf(step: StepName): string {
  return `step-${STEPS.indexOf(step) + 1}`;
}

export interface Pixels {
  readonly count: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
}

/** The pixels of the lanes that have about this colour of the style sheet: how many, and where. */
export function whereIs(page: Page, color: string): Promise<Pixels> {
  return page.evaluate<Pixels>(`(() => {
    const canvas = document.getElementById("lanes");
    const [r, g, b] = getComputedStyle(document.documentElement).getPropertyValue("--${color}").trim().match(/[0-9a-f]{2}/gi).map((two) => parseInt(two, 16));
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const found = { count: 0, left: Infinity, right: -Infinity, top: Infinity };
    for (let at = 0; at < data.length; at += 4) {
      if (Math.abs(data[at] - r) + Math.abs(data[at + 1] - g) + Math.abs(data[at + 2] - b) >= 12 || data[at + 3] <= 200) continue;
      const x = (at / 4) % canvas.width;
      found.count++;
      found.left = Math.min(found.left, x);
      found.right = Math.max(found.right, x);
      found.top = Math.min(found.top, Math.floor(at / 4 / canvas.width));
    }
    return found;
  })()`);
}

/** Waits until some pixels of the lanes have about this colour of the style sheet. */
export function drawn(page: Page, color: string, atLeast = 1): Promise<number> {
  return eventually(
    `${color} in the lanes`,
    async () => {
      await pause(LOOK_EVERY_MS);
      return (await whereIs(page, color)).count;
    },
    (count) => count >= atLeast,
  );
}
