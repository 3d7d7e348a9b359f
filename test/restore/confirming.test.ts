import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openPage, says } from "../admin/live/open-page.ts";
import { CHROMIUM, launchBrowser, SKIPPED } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";
import { Site } from "./site.ts";

// Confirming so many takes far longer than an order, also on a slow machine.
const ORDERS = 4_000;

/** Puts a backup in the place of the journal that has so many orders with a refund each to be made, and starts. */
async function restoreMany(site: Site, orders: number): Promise<void> {
  await site.start();
  await site.kill();
  const db = new DatabaseSync(site.journal);
  db.exec(`
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${orders})
    INSERT INTO attempts (order_id, attempt, amount, accepted_ms, ended_ms, error, interrupted, answered, answer)
      SELECT 'old-' || i, 1, 100, 0, 0, 'timeout', 0, 1, '{"status":"error","order_id":"","steps":[]}' FROM n;
    INSERT INTO compensations (attempt_id, step, state, tries, next_try_ms) SELECT id, 'payment', 'pending', 3, 0 FROM attempts;
    PRAGMA application_id = 0x4f524442;
  `);
  db.close();
  copyFileSync(site.journal, join(site.backups, "many.db"));
  await site.restore("many.db");
}

const refundsIn = (site: Site) => new Set(site.calls.filter(({ path }) => path === "/refunds").map(({ key }) => key));

test("orders go on while many are confirmed; a kill meanwhile loses none: what was not reached is held still, and the word can be given again", async () => {
  await using site = await Site.open();
  await restoreMany(site, ORDERS);
  let isConfirmed = false;
  const cutOff = site
    .admin("POST", "/restore/confirm")
    .catch(() => undefined)
    .finally(() => {
      isConfirmed = true;
    });
  await eventually("the first refunds", () => refundsIn(site).size > 0);
  // No more than two, which a busy machine places in time as well. The second may have waited for all of them, the first was placed between.
  for (let placed = 0; placed < 2; placed++) expect((await site.order(`new-${placed}`)).status).toBe(200);
  expect(isConfirmed).toBe(false);
  await site.kill();
  await cutOff;
  await site.start();
  const { compensations } = (await site.admin("GET", "/restore")).json;
  expect(compensations).toBeGreaterThan(0);
  expect(compensations).toBeLessThan(ORDERS);
  // What was let go is made, and no other.
  await eventually("the refunds that were let go", () => refundsIn(site).size === ORDERS - compensations);
  expect((await site.order("new")).status).toBe(200);
  const pending = async () => (await site.admin("GET", "/compensations?limit=1")).json.compensations.length;
  await eventually("none to be pending", async () => (await pending()) === 0);
  expect(refundsIn(site).size).toBe(ORDERS - compensations);
  expect((await site.admin("POST", "/restore/confirm", {})).json).toEqual({ status: "ok", compensations });
  await eventually("all refunds", () => refundsIn(site).size === ORDERS);
});

describe.skipIf(CHROMIUM === undefined)(`the live page${SKIPPED}`, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser?.close());

  test("shows what is held, confirms one order and no other, and says nothing of a restore where nothing is held", async () => {
    await using site = await Site.open();
    await restoreMany(site, 2);
    await using opened = await openPage(browser, site.adminPort);
    const { page } = opened;
    const panel = page.locator("#stuck-body");
    await says(panel, /Held since a restore[\s\S]*old-1\s+1\.00\s+had failed\s+payment\s+Confirm[\s\S]*old-2/);
    // What is held is counted as not compensated, so "Not compensated: None." would be untrue.
    expect(await panel.innerText()).not.toContain("Not compensated");
    await page.getByRole("button", { name: "Confirm old-1", exact: true }).click();
    await says(panel, /being compensated: 1/);
    await eventually("its refund", () => refundsIn(site).size === 1);
    expect([...refundsIn(site)]).toEqual(["old-1:1:payment:undo"]);
    expect((await site.admin("GET", "/restore")).json).toMatchObject({ orders: 1, held: [{ order_id: "old-2" }] });
    await site.admin("POST", "/restore/confirm");
    await eventually("all refunds", () => refundsIn(site).size === 2);
    // A payment in doubt is refunded, whenever its siblings fail.
    site.answer = ({ path, orderId }) => (orderId !== "failing" ? 200 : path === "/payments" ? 500 : path === "/refunds" ? 503 : 200);
    await site.order("failing");
    await using later = await openPage(browser, site.adminPort);
    const panelThen = later.page.locator("#stuck-body");
    await says(panelThen, /failing\s+payment/);
    expect(await panelThen.innerText()).not.toContain("Held since a restore");
  });
});
