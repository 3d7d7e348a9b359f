import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../../../load/long-run/plain-provider.ts";
import { CHROMIUM, launchBrowser } from "../../support/browser.ts";
import { ChildServer } from "../../support/child-server.ts";
import { eventually } from "../../support/eventually.ts";
import { newId, postOrder, send } from "../../support/http-client.ts";
import { startService, type TestService } from "../../support/service.ts";
import { attempt, fail, type OnFile, Receiver, startOnFile } from "../fixture.ts";
import { makeTrouble, openPage, pixelsOf, press } from "./open-page.ts";

const SKIPPED = CHROMIUM === undefined ? " (skipped: no Chromium was found; CHROME_PATH can name one)" : "";
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const HTML_ID = `<img src=x onerror="document.title='run'"><b>a</b>`;

describe.skipIf(CHROMIUM === undefined)(`the live page${SKIPPED}`, () => {
  let server: TestService;
  let browser: Browser;
  beforeAll(async () => {
    [server, browser] = await Promise.all([startService({ THREADS: "2", CPU_THREADS: "2" }), launchBrowser()]);
  });
  afterAll(async () => {
    await browser?.close();
    await server?.stop();
  });

  /** The text of the orders shown, newest first. */
  const ordersOf = (page: Page) => page.locator("#orders-rows").innerText();
  /** The tables below the lanes, which say what the canvas shows. */
  async function tablesOf(page: Page): Promise<string> {
    if ((await page.locator("#threads-details").getAttribute("open")) === null) await page.locator("#threads-details summary").click();
    return page.locator("#threads-table").innerText();
  }

  test("asks nobody but its own server, and the browser has nothing to complain about", async () => {
    await using opened = await openPage(browser, server.adminPort);
    const { page, urls, complaints } = opened;
    await makeTrouble(page, "Place an order", /^ok$/);
    await eventually(
      "the order",
      () => ordersOf(page),
      (text) => /demo-\w+\s+ok/.test(text),
    );
    for (const color of ["payment", "vendor", "courier"]) await eventually(`${color} in the lanes`, () => pixelsOf(page, color));
    expect(new Set(urls.map((url) => new URL(url).origin))).toEqual(new Set([`http://127.0.0.1:${server.adminPort}`]));
    expect(urls.length).toBeGreaterThan(15);
    expect(complaints).toEqual([]);
  });

  test("its policy keeps scripts in line, of other origins and made of text from running", async () => {
    await using opened = await openPage(browser, server.adminPort);
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

  describe("a button of trouble does what it says, and the page shows it:", () => {
    test("fail a payment, fail a vendor late, hang up, time out", async () => {
      await using opened = await openPage(browser, server.adminPort);
      const { page } = opened;
      const declined = await press(page, "Fail a payment");
      const late = await press(page, "Fail a vendor late");
      const left = await press(page, "Hang up");
      const timeout = await press(page, "Time out");
      await declined(/^payment declined$/);
      await late(/^vendor unavailable$/);
      await left(/^canceled$/);
      await timeout(/^timeout$/);
      for (const kind of ["payment declined", "vendor unavailable", "canceled", "timeout"]) {
        await eventually(
          `a row with ${kind}`,
          () => ordersOf(page),
          (text) => text.includes(kind),
        );
      }
      // A line from each cause to what it stopped, and what was undone.
      for (const color of ["failed", "undone"]) await eventually(`${color} in the lanes`, () => pixelsOf(page, color));
      for (const cause of ["sibling failed", "client disconnected", "deadline"]) {
        const row = new RegExp(`demo-\\w+\\s+${cause}\\s+\\d\\s+[\\d.]+ (µs|ms)`);
        await eventually(
          String(row),
          () => tablesOf(page),
          (text) => row.test(text),
        );
      }
    });

    test("200 orders at once", async () => {
      await using opened = await openPage(browser, server.adminPort);
      const { page } = opened;
      await makeTrouble(page, "200 orders at once", /\d ok\b/);
      // The couriers' line is in the figures once its second is over.
      const waiting = page.locator("figure", { hasText: "Waiting for capacity" }).locator(".value", { hasText: "courier" });
      await page.locator("#figures-details summary").click();
      const most = /Waiting for capacity\s+courier\s+\S+\s+\S+\s+([\d.\u202f]+)/;
      const table = page.locator("#figures-table");
      await eventually(
        "steps that waited for a courier",
        () => table.innerText(),
        (text) => Number(most.exec(text)?.[1] ?? 0) > 5,
      );
      expect(await waiting.count()).toBe(1);
    });

    test("Compute: on threads of their own", async () => {
      await using opened = await openPage(browser, server.adminPort);
      const { page } = opened;
      const ends = await press(page, "Compute");
      await eventually(
        "two computing threads",
        () => tablesOf(page),
        (text) => (text.match(/exclusive\t1\t/g) ?? []).length === 2,
      );
      await ends(/^ok$/);
      await eventually(
        "a solid bar",
        () => pixelsOf(page, "payment"),
        (count) => count > 1_000,
      );
    });

    test("Kill a thread, Stick a thread: another one takes the lane", async () => {
      await using opened = await openPage(browser, server.adminPort);
      const { page } = opened;
      const before = (await send(server.adminPort, { path: "/debug/threads" })).json.replaced;
      await makeTrouble(page, "Kill a thread", /^killed thread #\d+; .*\d+ internal/);
      await eventually(
        "internal",
        () => ordersOf(page),
        (text) => /internal/.test(text),
      );
      await eventually(
        "the count",
        () => page.locator("#glance").innerText(),
        (text) => text.includes(`${before + 1} replaced`),
      );
      await eventually("the mark in its lane", () => pixelsOf(page, "ok"));
      await makeTrouble(page, "Stick a thread", /stuck/);
      await eventually(
        "the count",
        () => page.locator("#glance").innerText(),
        (text) => text.includes(`${before + 2} replaced`),
      );
      await eventually(
        "the table",
        () => tablesOf(page),
        (text) => /#\d+\s+shared[\s\S]*#\d+\s+exclusive/.test(text),
      );
    });
  });

  test("a storm of 2000 orders leaves it responsive, and it says that it shows some of them", async () => {
    await using opened = await openPage(browser, server.adminPort);
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
    const ends = await press(page, "Storm: 2000 fail");
    await eventually(
      "the storm",
      () => page.locator("#sampling").innerText(),
      (text) => /^sampled: /.test(text),
    );
    const stormMs = await type(11);
    await ends(/^2\u202f000 payment declined$/);
    expect(stormMs).toBeLessThan(100 + 5 * idleMs);
    expect(await page.locator("#sampling").innerText()).toMatch(/^sampled: \d+ of [\d\u202f]+ orders drawn$/);
    await eventually(
      "all of them counted",
      () => page.locator("#sampling").innerText(),
      (text) => /of 2\u202f0\d\d /.test(text),
    );
    expect((await send(server.adminPort, { path: "/debug/threads" })).json).toMatchObject({ running: 0 });
  });

  test("ids with HTML in them are text wherever they stand", async () => {
    await using file = await startOnFile();
    await fail(file.running.service.journal, HTML_ID, ["payment"], Date.now() - 3_600_000);
    await using opened = await openPage(browser, file.running.adminPort);
    const { page, complaints } = opened;
    await page.locator("#stuck-body td.id button", { hasText: HTML_ID }).waitFor();
    const other = `${HTML_ID}2`;
    await postOrder(file.running.port, { order_id: other, amount: 1, fail_step: "payment" });
    await page.locator("#orders-rows button", { hasText: other }).click();
    await page.locator("#order h3", { hasText: "Attempt 1" }).waitFor();
    expect(await page.locator("#order-title").innerText()).toBe(other);
    await page.getByRole("button", { name: "Close" }).click();
    const note = page.getByLabel(`Note on payment of ${HTML_ID}`, { exact: true });
    await note.fill(`<script>document.title = "run"</script>`);
    await page.getByRole("button", { name: `Settle payment of ${HTML_ID}`, exact: true }).click();
    await eventually(
      "settled",
      () => page.locator("#stuck-body").innerText(),
      (text) => text.includes("settled"),
    );
    expect([await page.locator("body img, body b b, main script").count(), await page.title(), complaints]).toEqual([
      0,
      "Order pipeline",
      [],
    ]);
  });

  test("orders are found by id and by status, and a click shows all of one", async () => {
    const id = newId("found");
    const failing = { order_id: id, amount: 1_250, fail_step: "vendor", delay_ms: { payment: 1, vendor: 20, courier: 1 } };
    await postOrder(server.port, failing);
    await postOrder(server.port, failing);
    await using opened = await openPage(browser, server.adminPort);
    const { page } = opened;
    await page.fill("#orders-id", id);
    await page.keyboard.press("Enter");
    const dialog = page.locator("#order");
    await eventually(
      "its attempts",
      () => dialog.innerText(),
      (text) => /Attempt 2[\s\S]*Attempt 1/.test(text),
    );
    expect(await dialog.innerText()).toMatch(/amount 12\.50 · 2 attempts/);
    expect(await dialog.innerText()).toMatch(/payment\s+ok\s+\d+ ms\s+done/);
    await page.keyboard.press("Escape");
    await page.selectOption("#orders-status", "error");
    await page.locator("#orders-rows button", { hasText: id }).click();
    await eventually(
      "the window",
      () => dialog.innerText(),
      (text) => text.includes("Attempt 2"),
    );
    await page.keyboard.press("Escape");
    await page.fill("#orders-id", "never-seen");
    await page.getByRole("button", { name: "Find" }).click();
    await eventually(
      "the answer",
      () => dialog.innerText(),
      (text) => text.includes("no such order"),
    );
  });

  describe("what is stuck", () => {
    let receiver: Receiver;
    let file: OnFile;
    beforeAll(async () => {
      receiver = await Receiver.start();
      receiver.status = 410;
      file = await startOnFile({ WEBHOOK_URL: receiver.url });
      const { journal } = file.running.service;
      await fail(journal, "stuck-1", ["payment", "vendor"], Date.now() - 7_200_000);
      await attempt(journal, "given-up", undefined);
      const { items } = await journal.dueEvents(Date.now() + 3_600_000, 500);
      for (const { seq } of items) await journal.giveUpEvent(seq, "HTTP 500", Date.now());
      // Something to deliver, so that the receiver is asked and says that it wants nothing.
      await postOrder(file.running.port, { order_id: "delivered", amount: 1 });
    });
    afterAll(async () => {
      await file?.[Symbol.asyncDispose]();
      await receiver?.[Symbol.asyncDispose]();
    });

    test("has its age and last answer, and the buttons that mend it", async () => {
      await using opened = await openPage(browser, file.running.adminPort);
      const { page } = opened;
      const panel = page.locator("#stuck-body");
      const text = () => panel.innerText();
      await eventually("the rows", text, (seen) => /stuck-1\s+payment\s+12\.00\s+2 h\s+1\s+HTTP 503/.test(seen));
      expect(await page.locator("#stuck-hint").innerText()).toMatch(/^2 undos wait, the oldest for 2 h/);

      await page.getByRole("button", { name: "Retry payment of stuck-1" }).click();
      await eventually("undone", text, (seen) => /undone/.test(seen));
      await page.getByLabel("Note on vendor of stuck-1").fill("called them");
      await page.getByRole("button", { name: "Settle vendor of stuck-1" }).click();
      await eventually("settled", text, (seen) => /settled, and the note is kept/.test(seen));
      expect((await file.get("/compensations")).json.compensations).toEqual([]);
      expect((await file.get("/compensations?state=settled")).json.compensations).toMatchObject([{ step: "vendor", note: "called them" }]);

      await eventually("the receiver that wants nothing", text, (seen) => /disabled: it answered 410/.test(seen));
      receiver.status = 204;
      await page.getByRole("button", { name: "Resume" }).click();
      await eventually("resumed", text, (seen) => /Receiver of events\s+up\./.test(seen));
      await page
        .getByRole("button", { name: /^Redeliver order\.\w+ of given-up$/ })
        .first()
        .click();
      await eventually("delivered", () => receiver.typesOf("given-up").length > 0);

      await page.getByLabel("File name").fill("page.db");
      await page.getByRole("button", { name: "Back up" }).click();
      await eventually("the backup", text, (seen) => /\d+ bytes in \d+ ms/.test(seen));
      expect(readFileSync(join(file.backups, "page.db")).length).toBeGreaterThan(1_000);
      await page.getByRole("button", { name: "Back up" }).click();
      await eventually("the refusal", text, (seen) => /page\.db exists already/.test(seen));
    });
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
      const id = await eventually("its id", async () => /demo-\w+/.exec(await ordersOf(page))?.[0]);
      await page.getByRole("button", { name: "Crash the process" }).click();
      expect(await first.exited).toMatchObject({ signal: "SIGKILL" });
      await page.locator('#link[data-state="lost"]').waitFor();
      await eventually(
        "says so",
        () => page.locator("#announce").innerText(),
        (text) => /connection is lost/.test(text),
      );

      await using second = new ChildServer(settings);
      await second.ports();
      await page.locator('#link[data-state="live"]').waitFor();
      expect(await page.locator("#link-text").innerText()).toBe(`live, process ${second.process.pid}`);
      await eventually("the gap in the lanes", () => pixelsOf(page, "failed"));
      await page.fill("#orders-id", id ?? "");
      await page.keyboard.press("Enter");
      await eventually(
        "the order of before",
        () => page.locator("#order").innerText(),
        (text) => /Attempt 1\s+ok/.test(text),
      );
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test.each([
    ["light", 1280],
    ["dark", 390],
  ] as const)("axe finds nothing serious in %s at %i pixels, and nothing is wider than the window", async (colorScheme, width) => {
    await using file = await startOnFile();
    await fail(file.running.service.journal, "stuck-1", ["payment"], Date.now() - 60_000);
    await using opened = await openPage(browser, file.running.adminPort, { colorScheme, viewport: { width, height: 844 } });
    const { page } = opened;
    await makeTrouble(page, "Fail a payment", /declined/);
    await page.locator("#orders-rows tr").first().waitFor();
    await page.locator("#stuck-body tbody tr").first().waitFor();
    await page.locator("#figures-details summary").click();
    await eventually(
      "the table",
      () => tablesOf(page),
      (text) => /shared/.test(text),
    );
    const offences = async () => {
      const { violations } = await page.evaluate<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }>(
        "axe.run({ resultTypes: ['violations'] })",
      );
      return violations.filter(({ impact }) => /serious|critical/.test(impact)).map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
    };
    await page.evaluate(AXE);
    expect(await offences()).toEqual([]);
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(width);
    await page.locator("#orders-rows button").first().click();
    await page.locator("#order h3").first().waitFor();
    expect(await offences()).toEqual([]);
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
    await using calm = await openPage(browser, server.adminPort, { reducedMotion: "reduce" });
    await using lively = await openPage(browser, server.adminPort, { viewport: { width: 1280, height: 420 } });
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

  test("what it keeps does not grow, whatever comes", async () => {
    await using opened = await openPage(browser, server.adminPort);
    const sizes = await opened.page.evaluate<Record<string, number>[]>(`(async () => {
      const { LaneModel } = await import("/live/lane-model.js");
      const { History } = await import("/live/history.js");
      const model = new LaneModel();
      const history = new History();
      model.hello({ pid: 1, now: 0 });
      const each = (value) => ({ payment: value, vendor: value, courier: value });
      const seen = [];
      for (let n = 1; n <= 1600; n++) {
        const now = n * 250;
        const id = 2 + Math.floor(n / 40);
        const order = (at) => ({ id: String(at), attempt: 1, kind: "payment_declined", started: now - 200, stored: now, canceled: ["sibling_failed", now - 100],
          steps: [["failed", id, now - 200, now - 100, null], ["canceled", id, now - 200, now - 99, null], ["ok", 1, now - 200, now - 150, "done"]] });
        const tick = { now, running: 1, in_flight: 1, threads: [[1, "exclusive", 1, n, 5], [id, "shared", 9, n, 5]], replaced_total: id,
          replaced: n % 40 === 0 ? [{ id: id - 1, pool: "shared", reason: "chaos", at: now }] : [], in_use: each(1), waiting: each(1), circuits: each(0),
          loop: { utilization: 1, delay_ms: 1 }, commits: { count: 9, requests: 99, max_ms: 1 }, backlog: null, ended: { payment_declined: 999 },
          long_steps: [["long " + (n >> 3), 1, 0, id, now - 300]],
          orders: Array.from({ length: 40 }, (_, at) => order(at)), left: 959, order_ms: null, cancel_ms: null };
        model.tick(tick);
        history.add(tick);
        if (n % 200 === 0) seen.push({ bars: model.bars.length, open: model.open.running.length, cancels: model.cancels.length, lanes: model.lanes.length,
          threads: model.lanes.reduce((sum, { threads }) => sum + threads.length, 0), packed: model.lanes.flatMap(({ packed }) => packed.flat()).length,
          samples: model.lanes.reduce((sum, { samples }) => sum + samples.length, 0), points: history.of("commits").length });
      }
      return seen;
    })()`);
    const [first] = sizes;
    expect(first?.bars).toBeGreaterThan(1_000);
    expect(first?.threads).toBeGreaterThan(1);
    for (const size of sizes) expect(size).toEqual(first);
  });
});
