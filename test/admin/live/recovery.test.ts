import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CHROMIUM, launchBrowser, SKIPPED } from "../../support/browser.ts";
import { ChildServer } from "../../support/child-server.ts";
import { eventually } from "../../support/eventually.ts";
import { postOrder } from "../../support/http-client.ts";
import { freePort } from "../../support/postgres/free-port.ts";
import { attempt, eventsDue, fail, type OnFile, Receiver, startOnFile } from "../fixture.ts";
import { drawn, makeTrouble, openPage, says } from "./open-page.ts";

interface Noted {
  readonly tries: readonly { readonly atMs: number; readonly heard: boolean }[];
  readonly pausesMs: readonly number[];
}

const EQUAL = /(\d+) orders? interrupted, \1 compensated/;

/** Has a page note when it opens a stream of events, whether that says anything, and for how long it sets timers. */
const NOTE_TRIES = `(() => {
  const noted = globalThis.noted = { tries: [], pausesMs: [] };
  const Before = EventSource;
  globalThis.EventSource = class extends Before {
    constructor(url) {
      super(url);
      const one = { atMs: Date.now(), heard: false };
      noted.tries.push(one);
      this.addEventListener("hello", () => { one.heard = true; });
    }
  };
  const set = setTimeout;
  globalThis.setTimeout = (work, ms, ...rest) => { noted.pausesMs.push(ms); return set(work, ms, ...rest); };
})()`;

describe.skipIf(CHROMIUM === undefined)(`the live page where something went wrong${SKIPPED}`, () => {
  let receiver: Receiver;
  let file: OnFile;
  let browser: Browser;
  beforeAll(async () => {
    [receiver, browser] = await Promise.all([Receiver.start(), launchBrowser()]);
    receiver.status = 410;
    file = await startOnFile({ WEBHOOK_URL: receiver.url });
    const { journal } = file.running.service;
    await fail(journal, "stuck-1", ["payment", "vendor"], Date.now() - 7_200_000);
    await attempt(journal, "given-up", undefined);
    for (const { seq } of await eventsDue(journal, Date.now() + 3_600_000)) await journal.giveUpEvent(seq, "HTTP 500", Date.now());
    // Something to deliver, so that the receiver is asked and says that it wants nothing.
    await postOrder(file.running.port, { order_id: "delivered", amount: 1 });
  });
  afterAll(async () => {
    await browser?.close();
    await file?.[Symbol.asyncDispose]();
    await receiver?.[Symbol.asyncDispose]();
  });

  test("says when by the server's clock, whatever its own machine's says, and no age stands still", async () => {
    await using opened = await openPage(browser, file.running.adminPort);
    const { page } = opened;
    const panel = page.locator("#stuck-body");
    const givenUp = /order\.placed\s+(\d+ \w+) ago/;
    const [, before] = givenUp.exec(await says(panel, givenUp)) ?? [];
    await page.evaluate("(() => { const now = Date.now; Date.now = () => now() + 1e10; })()");
    await page.waitForResponse(/\/compensations\?/);
    await page.waitForResponse(/\/compensations\?/);
    await eventually(
      "its age to go on",
      () => panel.innerText(),
      (text) => givenUp.exec(text)?.[1] !== before,
    );
    expect(await panel.innerText()).toMatch(/stuck-1\s+payment\s+12\.00\s+2 h\s+1\s+HTTP 503\s+in \d+ \w+/);
    // By its own clock that is so.
    expect(await panel.innerText()).not.toMatch(/days ago/);
  });

  test("shows what is stuck, its age and last answer, and the buttons that mend it", async () => {
    await using opened = await openPage(browser, file.running.adminPort);
    const { page } = opened;
    const panel = page.locator("#stuck-body");
    await says(panel, /stuck-1\s+payment\s+12\.00\s+2 h\s+1\s+HTTP 503/);
    expect(await page.locator("#stuck-hint").innerText()).toMatch(/^2 compensations wait, the oldest for 2 h/);
    // It comes first, the header says so, and only what gives money back has an amount.
    expect(await page.locator("#alarm").innerText()).toBe("4 stuck, oldest 2 h");
    expect(await page.evaluate("document.getElementById('stuck').offsetTop < document.getElementById('threads').offsetTop")).toBe(true);
    expect(await panel.innerText()).toMatch(/vendor\s+2 h/);

    await page.getByRole("button", { name: "Retry payment of stuck-1" }).click();
    await says(panel, /Settle\s+compensated/);
    await page.getByLabel("Note on vendor of stuck-1").fill("called them");
    await page.getByRole("button", { name: "Settle vendor of stuck-1" }).click();
    await says(panel, /settled, and the note is kept/);
    expect((await file.get("/compensations")).json.compensations).toEqual([]);
    expect((await file.get("/compensations?state=settled")).json.compensations).toMatchObject([{ step: "vendor", note: "called them" }]);

    const upkeep = page.locator("#upkeep-body");
    await says(upkeep, /disabled: it answered 410/);
    receiver.status = 204;
    await page.getByRole("button", { name: "Resume" }).click();
    await says(upkeep, /Receiver of events\s+up\./);
    await page
      .getByRole("button", { name: /^Redeliver order\.\w+ of given-up$/ })
      .first()
      .click();
    await eventually("delivered", () => receiver.typesOf("given-up").length > 0);

    await page.getByLabel("File name").fill("page.db");
    await page.getByRole("button", { name: "Back up" }).click();
    await says(upkeep, /\d+ bytes in \d+ ms/);
    expect(readFileSync(join(file.backups, "page.db")).length).toBeGreaterThan(1_000);
    await page.getByRole("button", { name: "Back up" }).click();
    await says(upkeep, /page\.db exists already/);

    await fail(file.running.service.journal, "all-1", ["payment", "vendor"]);
    await page.getByRole("button", { name: "Retry all" }).click();
    // Also when the list has been read again.
    await says(panel, /Not compensated\s+2 of 2 tried, 2 compensated\s+None/);
    // What is left is an event that was given up.
    await says(page.locator("#alarm"), /^1 stuck$/);
  });

  test("where it is narrow, what floats and leads to the panel of what is stuck does not cover that panel", async () => {
    await fail(file.running.service.journal, "narrow-1", ["payment"], Date.now() - 60_000);
    await using opened = await openPage(browser, file.running.adminPort, { viewport: { width: 390, height: 844 } });
    const { page } = opened;
    await says(page.locator("#stuck-body"), /narrow-1/);
    await page.locator("#upkeep").scrollIntoViewIfNeeded();
    await page.locator("#alarm").waitFor();
    await page.locator("#alarm").click();
    await page.locator("#alarm").waitFor({ state: "hidden" });
    expect(await page.locator("#alarm").getAttribute("hidden")).toBeNull();
    await page.getByRole("button", { name: "Retry payment of narrow-1" }).click();
    await says(page.locator("#stuck-body"), /Settle\s+compensated/);
  });

  test("keeps the row of a compensation that is being tried, and one about which somebody writes, though no list has them then", async () => {
    await fail(file.running.service.journal, "slow-1", ["payment", "vendor"]);
    await using opened = await openPage(browser, file.running.adminPort);
    const { page } = opened;
    const panel = page.locator("#stuck-body");
    await says(panel, /slow-1\s+payment[\s\S]*\svendor/);
    const gate = Promise.withResolvers<void>();
    let lists = 0;
    await page.route("**/compensations/*/retry", async (route) => {
      await gate.promise;
      await route.continue();
    });
    await page.getByLabel("Note on vendor of slow-1").fill("called");
    await page.getByRole("button", { name: "Retry payment of slow-1" }).click();
    await page.route("**/compensations?*", (route) => {
      lists++;
      return route.fulfill({ json: { compensations: [] } });
    });
    await eventually("some looks at the list", () => lists >= 3);
    expect(await page.getByLabel("Note on vendor of slow-1").inputValue()).toBe("called");
    expect(await page.getByRole("button", { name: "Retry payment of slow-1" }).count()).toBe(1);
    gate.resolve();
    await says(panel, /compensated/);
    // Nobody has anything to do with them any more.
    await page.getByLabel("Note on vendor of slow-1").fill("");
    await eventually("both rows to go", async () => (await page.getByRole("button", { name: /^Retry .* of slow-1$/ }).count()) === 0);
  });

  test("is live again by itself after the process was killed and started again", async () => {
    const directory = mkdtempSync(join(tmpdir(), "live-page-"));
    const settings = {
      PORT: String(await freePort()),
      ADMIN_PORT: String(await freePort()),
      THREADS: "1",
      CPU_THREADS: "1",
      JOURNAL: join(directory, "orders.db"),
    };
    try {
      const first = new ChildServer(settings);
      await using _first = first;
      const { adminPort } = await first.ports();
      await using opened = await openPage(browser, adminPort);
      const { page } = opened;
      await makeTrouble(page, "Place an order", /^ok$/);
      const [id = ""] = /demo-\w+/.exec(await says(page.locator("#orders-rows"), /demo-\w+/)) ?? [];
      await page.evaluate(NOTE_TRIES);
      await page.getByRole("button", { name: "Crash the process" }).click();
      expect(await first.exited).toMatchObject({ signal: "SIGKILL" });
      await page.locator('#link[data-state="lost"]').waitFor();
      await says(page.locator("#announce"), /connection is lost/);
      await says(page.locator("#link-text"), /no connection, last news \d+ s ago/);
      expect(await page.evaluate("getComputedStyle(document.querySelector('main')).opacity")).toBe("0.5");

      await using second = new ChildServer(settings);
      await second.ports();
      const readyMs = Date.now();
      await page.locator('#link[data-state="live"]').waitFor();
      // It asks again every half second by its own clock, and the first try that begins when the service is ready succeeds: three seconds
      // are enough wherever a connection takes less than two.
      const { tries, pausesMs } = await page.evaluate<Noted>("noted");
      expect(tries.length).toBeGreaterThanOrEqual(1);
      expect(pausesMs.length).toBeGreaterThanOrEqual(tries.length);
      for (const pauseMs of pausesMs) expect(pauseMs).toBeLessThanOrEqual(500);
      expect(tries.filter(({ atMs, heard }) => atMs > readyMs && !heard)).toEqual([]);
      expect(await page.locator("#link-text").innerText()).toBe(`live, process ${second.process.pid}`);
      await drawn(page, "failed");
      expect(await page.evaluate("getComputedStyle(document.querySelector('main')).opacity")).toBe("1");
      const [, interrupted, compensated] =
        /(\d+) orders? interrupted, (\d+) compensated/.exec(await says(page.locator("#recovered"), EQUAL)) ?? [];
      expect([Number(interrupted) > 0, compensated]).toEqual([true, interrupted]);
      await page.fill("#orders-id", id);
      await page.keyboard.press("Enter");
      await says(page.locator("#order"), /Attempt 1\s+ok/);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
