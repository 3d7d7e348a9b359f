import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { CHROMIUM, SKIPPED } from "../../support/browser.ts";
import { eventually } from "../../support/eventually.ts";
import { newId, postOrder, send } from "../../support/http-client.ts";
import { colorOf, drawn, NOTE_TICKS, openPage, says, whereIs } from "./open-page.ts";
import { playedTenSeconds } from "./played-events.ts";
import { sharedByTests } from "./shared-by-tests.ts";

const PAINTS = "performance.getEntriesByName('first-contentful-paint').length";
// Some pictures: thirty a second are drawn.
const SOME_PICTURES = 15;

describe.skipIf(CHROMIUM === undefined)(`how the live page looks${SKIPPED}`, () => {
  const shared = sharedByTests();

  test("says first why threads matter, and leads to the README, the API and a trace", async () => {
    await using opened = await openPage(shared.browser, shared.adminPort);
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
      await using context = await shared.browser.newContext();
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
      await page.goto(`http://127.0.0.1:${shared.adminPort}/`, { waitUntil: "commit" });
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
    await using opened = await openPage(shared.browser, shared.adminPort);
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
    await using opened = await openPage(shared.browser, shared.adminPort, { reducedMotion: "no-preference" });
    const { page } = opened;
    const client = new AbortController();
    const body = { order_id: newId("held"), amount: 1, delay_ms: { payment: 1, vendor: 60_000, courier: 1 } };
    const left = send(shared.file.running.port, { method: "POST", path: "/order", body, signal: client.signal }).catch(() => {});
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
    await using opened = await openPage(shared.browser, shared.adminPort);
    const { page } = opened;
    await page.addInitScript(NOTE_TICKS);
    await page.reload();
    const rows = page.locator("#orders-rows");
    const place = async () => {
      const id = newId("row");
      await postOrder(shared.file.running.port, { order_id: id, amount: 1 });
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

  test("a paused picture keeps what it shows, however long it is paused", async () => {
    await using opened = await openPage(shared.browser, shared.adminPort);
    const told = JSON.stringify([0, 1, 2].map(playedTenSeconds));
    const [before, after] = await opened.page.evaluate<[string, string]>(`(async () => {
      const [first, ...later] = ${told};
      const { Lanes } = await import("/live/threads/lanes.js");
      const canvas = document.createElement("canvas");
      canvas.style.width = "800px";
      document.body.append(canvas);
      let now = 10_000;
      const lanes = new Lanes(canvas, { now: () => now, date: (ms) => new Date(ms) });
      Object.assign(lanes, { isLive: true, steps: first.hello.steps });
      lanes.model.hello(first.hello);
      for (const tick of first.ticks) lanes.model.tick(tick);
      lanes.draw();
      // At its right edge stands a time of day and not "now".
      lanes.isLive = false;
      // As the buttons do: a step pauses too.
      const step = (by) => (lanes.pause(true), lanes.step(by));
      for (let forth = 0; forth < 20; forth++) step(1);
      lanes.draw();
      const before = canvas.toDataURL();
      for (const { ticks } of later) for (const tick of ticks) lanes.model.tick(tick);
      now = 30_000;
      step(-1);
      for (let forth = 0; forth < 20; forth++) step(1);
      lanes.draw();
      return [before, canvas.toDataURL()];
    })()`);
    expect(after === before).toBe(true);
  });

  test("a plot says what was in the second under the pointer", async () => {
    await using opened = await openPage(shared.browser, shared.adminPort);
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
