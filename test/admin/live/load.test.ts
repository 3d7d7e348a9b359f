import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CHROMIUM, launchBrowser, SKIPPED } from "../../support/browser.ts";
import { eventually } from "../../support/eventually.ts";
import { send } from "../../support/http-client.ts";
import { startService, type TestService } from "../../support/service.ts";
import { openPage, press, says } from "./open-page.ts";
import { longestTurnMs } from "./page-turns.ts";

// A tenth of a second is what feels at once (Nielsen). A key press waits for the turn that is under way, then for its own and for a picture.
const MAX_TURN_MS = 100;

describe.skipIf(CHROMIUM === undefined)(`the live page under load${SKIPPED}`, () => {
  let server: TestService;
  let browser: Browser;
  beforeAll(async () => {
    [server, browser] = await Promise.all([startService({ THREADS: "2", CPU_THREADS: "1" }), launchBrowser()]);
  });
  afterAll(async () => {
    await browser?.close();
    await server?.stop();
  });

  test("a storm of 2000 orders leaves it responsive, and it says that it shows some of them", async () => {
    await using opened = await openPage(browser, server.adminPort, { reducedMotion: "no-preference" });
    const { page } = opened;
    // From the moment the browser has the key press until the page has drawn what came of it.
    await page.evaluate(`(() => {
      globalThis.answers = [];
      addEventListener("keydown", ({ timeStamp }) => requestAnimationFrame(() => setTimeout(() => answers.push(performance.now() - timeStamp))));
    })()`);
    const type = async (times: number) => {
      await page.evaluate("answers.length = 0");
      for (let n = 0; n < times; n++) await page.keyboard.press("a");
      const answers = await eventually(
        "answers",
        () => page.evaluate<number[]>("answers"),
        (seen) => seen.length === times,
      );
      return answers.toSorted((a, b) => a - b)[Math.floor(times / 2)] ?? 0;
    };
    await page.locator("#orders-id").focus();
    const idleMs = await type(11);
    let stormMs = 0;
    const turnMs = await longestTurnMs(browser, page, async () => {
      const ends = await press(page, "Storm: 2000 fail");
      await says(page.locator("#sampling"), /^[\d\u202f]+ orders in 10 s, [\d\u202f]+ of them drawn/);
      stormMs = await type(11);
      await ends(/^2\u202f000 payment declined$/);
    });
    // On the clock of the page's own thread, so that it says nothing of what else the machine had to do.
    expect(turnMs).toBeGreaterThan(0);
    expect(turnMs).toBeLessThan(MAX_TURN_MS);
    expect(stormMs).toBeLessThan(100 + 5 * idleMs);
    expect((await send(server.adminPort, { path: "/debug/threads" })).json).toMatchObject({ running: 0 });
  });

  test("draws often while it can be seen, seldom for those who want nothing to move, and never out of sight", async () => {
    const draws = `(() => {
      const clear = CanvasRenderingContext2D.prototype.clearRect;
      globalThis.draws = 0;
      CanvasRenderingContext2D.prototype.clearRect = function (...rest) {
        if (this.canvas.id === "lanes") globalThis.draws++;
        return clear.apply(this, rest);
      };
    })()`;
    await using calm = await openPage(browser, server.adminPort);
    await using lively = await openPage(browser, server.adminPort, {
      reducedMotion: "no-preference",
      viewport: { width: 1280, height: 420 },
    });
    for (const { page } of [calm, lively]) await page.evaluate(draws);
    await eventually(
      "many pictures",
      () => lively.page.evaluate<number>("draws"),
      (count) => count > 20,
    );
    const sinceMs = performance.now();
    await calm.page.evaluate("draws = 0");
    await eventually(
      "two calm pictures",
      () => calm.page.evaluate<number>("draws"),
      (count) => count >= 2,
    );
    expect(await calm.page.evaluate<number>("draws")).toBeLessThanOrEqual(2 + (performance.now() - sinceMs) / 900);
    await lively.page.locator("#stuck").scrollIntoViewIfNeeded();
    await eventually("out of sight", async () => {
      await lively.page.evaluate("draws = 0");
      await lively.page.evaluate("new Promise((resolve) => setTimeout(resolve, 200))");
      return (await lively.page.evaluate<number>("draws")) === 0;
    });
  });
});
