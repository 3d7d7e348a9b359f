import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Holdings, holdings } from "../../../load/lab/page-holdings.ts";
import { CHROMIUM, launchBrowser, SKIPPED } from "../../support/browser.ts";
import { eventually } from "../../support/eventually.ts";
import { startService, type TestService } from "../../support/service.ts";
import { tenSecondsOf } from "./played-events.ts";

// Its lists fill, and V8 compiles what runs often.
const WARM_UP = 4;
const AFTER_IT = 20;
// What is left after a collection differs a little from time to time. A page that kept two kilobytes of each message, one of the forty
// orders in it, would hold half as much again.
const MAX_GROWTH = 1.35;

describe.skipIf(CHROMIUM === undefined)(`the live page that is left open${SKIPPED}`, () => {
  let server: TestService;
  let browser: Browser;
  beforeAll(async () => {
    [server, browser] = await Promise.all([startService({ THREADS: "1", CPU_THREADS: "1" }), launchBrowser()]);
  });
  afterAll(async () => {
    await browser?.close();
    await server?.stop();
  });

  test("holds no more the longer full load is reported to it, as fast as it can take it in", async () => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: "reduce" });
    const page = await context.newPage();
    let next = Promise.withResolvers<void>();
    let played = 0;
    let asked = 0;
    await page.route("**/events", async (route) => {
      asked++;
      await next.promise;
      next = Promise.withResolvers();
      await route.fulfill({ contentType: "text/event-stream", body: tenSecondsOf(played++) });
    });
    await page.goto(`http://127.0.0.1:${server.adminPort}/`);
    /** Lets the page have ten seconds, all it ever shows. When it asks for more it has taken them in. */
    const play = async () => {
      const before = asked;
      next.resolve();
      await eventually("it asks for more", () => asked > before);
    };
    await eventually("it asks", () => asked > 0);
    // It pauses before it asks again.
    await page.evaluate("(() => { const set = setTimeout; globalThis.setTimeout = (work) => set(work, 0); })()");
    const idle = await holdings(page);
    for (let n = 0; n < WARM_UP; n++) await play();
    const first = await holdings(page);
    const later: Holdings[] = [];
    for (let n = 1; n <= AFTER_IT; n++) {
      await play();
      if (n > AFTER_IT - 3) later.push(await holdings(page));
    }
    expect(first.nodes).toBeGreaterThan(idle.nodes + 100);
    expect(await page.locator("#sampling").innerText()).toMatch(/^40\u202f000 orders in 10 s, 1\u202f600 of them drawn/);
    // The least of the last ones: what is about to be collected is no growth.
    const least = (of: (held: Holdings) => number) => Math.min(...later.map(of));
    expect(least(({ listeners }) => listeners)).toBeLessThanOrEqual(first.listeners);
    expect(least(({ nodes }) => nodes)).toBeLessThanOrEqual(first.nodes);
    expect(least(({ heapBytes }) => heapBytes) / first.heapBytes).toBeLessThan(MAX_GROWTH);
    await context.close();
  });
});
