import { setTimeout as pause } from "node:timers/promises";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CHROMIUM, launchBrowser, SKIPPED } from "../../support/browser.ts";
import { eventually } from "../../support/eventually.ts";
import { send } from "../../support/http-client.ts";
import { startService, type TestService } from "../../support/service.ts";
import { colorOf, drawn, makeTrouble, openPage, press, says, tablesOf } from "./open-page.ts";

describe.skipIf(CHROMIUM === undefined)(`a button of trouble does what it says, and the page shows it:${SKIPPED}`, () => {
  let server: TestService;
  let browser: Browser;
  beforeAll(async () => {
    [server, browser] = await Promise.all([startService({ THREADS: "2", CPU_THREADS: "2" }, { exclusiveAtStart: true }), launchBrowser()]);
  });
  afterAll(async () => {
    await browser?.close();
    await server?.stop();
  });

  const ordersOf = (page: Page) => page.locator("#orders-rows");

  // These wait most of the time, so they do it together. Killed threads and a full service would disturb them.
  describe.concurrent("at one time", () => {
    test("fail a payment, fail a vendor late, no courier, hang up, time out", async () => {
      await using opened = await openPage(browser, server.adminPort);
      const { page } = opened;
      const tables = await tablesOf(page);
      const timeout = await press(page, "Time out");
      const declined = await press(page, "Fail a payment");
      const late = await press(page, "Fail a vendor late");
      const noCourier = await press(page, "No courier");
      const left = await press(page, "Hang up");
      // A line from each cause to what it stopped, and what was compensated: each at once, for all of it scrolls out.
      const stopped = (cause: string) => says(tables, new RegExp(`demo-\\w+\\s+${cause}\\s+\\d\\s+[\\d.]+ (µs|ms)`));
      await declined(/^payment declined$/);
      await drawn(page, "failed");
      await stopped("sibling failed");
      await left(/^canceled$/);
      await stopped("client disconnected");
      await late(/^vendor unavailable$/);
      await noCourier(/^no courier$/);
      await drawn(page, "compensated");
      await timeout(/^timeout$/);
      await stopped("deadline");
      for (const kind of ["payment declined", "vendor unavailable", "no courier", "canceled", "timeout"])
        await says(ordersOf(page), new RegExp(kind));
    });

    test("Compute: on threads of their own", async () => {
      await using opened = await openPage(browser, server.adminPort);
      const { page } = opened;
      const tables = await tablesOf(page);
      const ends = await press(page, "Compute");
      await ends(/^ok$/);
      await says(tables, /exclusive\t\d\t1\t[\s\S]*exclusive\t\d\t1\t/);
      // A pale bar has its colour only along its lower edge, which is no hundredth of this.
      await drawn(page, colorOf("payment"), 400);
    });
  });

  test("200 orders at once", async () => {
    await using opened = await openPage(browser, server.adminPort);
    const { page } = opened;
    await page.locator("#figures-details summary").click();
    const most = /Waiting for capacity\s+courier\s+\S+\s+\S+\s+([\d.\u202f]+)/;
    await eventually(
      "steps that waited for a courier",
      async () => {
        // The line of couriers is short-lived, and looked at four times a second; it is in the figures once its second is over.
        const said = await (await press(page, "200 orders at once"))(/\d ok\b/);
        await pause(1_500);
        // Who was refused is on the page too: as a figure, in words, and as a series.
        if (said.includes("refused")) {
          await says(page.locator("#glance"), /refused in 10 s\s*[1-9]/);
          await says(page.locator("#sampling"), /\d refused before any step began/);
          await says(page.locator("figure").first(), /refused/);
        }
        return page.locator("#figures-table").innerText();
      },
      (text) => Number(most.exec(text)?.[1] ?? 0) > 5,
    );
    const waiting = page.locator("figure", { hasText: "Waiting for capacity" }).locator(".value", { hasText: "courier" });
    expect(await waiting.count()).toBe(1);
  });

  test("Kill a thread, Stick a thread: another one takes the lane", async () => {
    await using opened = await openPage(browser, server.adminPort);
    const { page } = opened;
    const before = (await send(server.adminPort, { path: "/debug/threads" })).json.replaced;
    await makeTrouble(page, "Kill a thread", /^killed thread #\d+: \d+ of 12 orders had a step on it and failed/);
    await says(ordersOf(page), /internal/);
    await says(page.locator("#glance"), new RegExp(`${before + 1} replaced`));
    await drawn(page, "ok");
    await makeTrouble(page, "Stick a thread", /^replaced after/);
    await says(page.locator("#glance"), new RegExp(`${before + 2} replaced`));
    await says(await tablesOf(page), /#\d+\s+shared[\s\S]*#\d+\s+exclusive/);
  });
});
