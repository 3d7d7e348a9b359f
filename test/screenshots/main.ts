import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { startStandIn } from "../../load/stand-in/stand-in.ts";
import { perStepSetting } from "../../src/orders/steps.ts";
import { fail, startOnFile } from "../admin/fixture.ts";
import { openPage, press } from "../admin/live/open-page.ts";
import { launchBrowser } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";
import { postOrder } from "../support/http-client.ts";

const README_IMAGES = fileURLToPath(new URL("../../docs/images/", import.meta.url));
const USAGE = `usage: npm run screenshots [-- DIRECTORY]

Makes the two pictures of the README, or all twenty of them, light and dark, wide and narrow, in DIRECTORY.`;
const MINUTE_MS = 60_000;
// Some of the last ten seconds before the picture is taken.
const FOR_A_WHILE_MS = 1_500;

/** What a picture shows: how to bring it about on an open page. */
interface Scene {
  readonly name: string;
  readonly settings?: () => Promise<{ settings: Record<string, string>; close: () => Promise<void> }>;
  readonly play: (page: Page, port: number) => Promise<void>;
}

const NO_PROVIDERS = { settings: { THREADS: "2", CPU_THREADS: "2" }, close: async () => {} };

const SCENES: readonly Scene[] = [
  { name: "idle", play: () => pause(FOR_A_WHILE_MS) },
  {
    name: "busy",
    async play(page) {
      for (const name of ["Place an order", "Fail a payment", "Compute", "Fail a vendor late", "Hang up", "200 orders at once"]) {
        await press(page, name);
        await pause(700);
      }
      await pause(FOR_A_WHILE_MS);
    },
  },
  {
    name: "storm",
    async play(page) {
      await (await press(page, "Compute"))(/ok/);
      await (await press(page, "Storm: 2000 fail"))(/declined/);
      await (await press(page, "Fail a vendor late"))(/vendor/);
      await (await press(page, "Hang up"))(/canceled/);
      // Its picture is taken while it goes on.
      await press(page, "Storm: 2000 fail");
      await pause(FOR_A_WHILE_MS);
    },
  },
  {
    name: "dead-thread",
    async play(page) {
      await (await press(page, "Kill a thread"))(/internal/);
      await press(page, "Stick a thread");
      await pause(2 * FOR_A_WHILE_MS);
    },
  },
  {
    name: "stuck-refunds",
    async settings() {
      const standIn = await startStandIn({
        faultModeOf: ({ step, action }) => {
          if (action === "compensate") return step === "payment" ? { type: "refuse", status: 503 } : undefined;
          return step === "vendor" ? { type: "refuse", slowMs: 60 } : undefined;
        },
      });
      return { settings: { ...perStepSetting("URL", (step) => standIn.urls[step]), THREADS: "2" }, close: () => standIn.close() };
    },
    async play(page, port) {
      for (let n = 1; n <= 4; n++) await postOrder(port, { order_id: `order-${1040 + n}`, amount: 1_990 * n });
      await page.locator("#stuck-body tbody tr").nth(5).waitFor();
      await pause(FOR_A_WHILE_MS);
      await page.evaluate('document.getElementById("stuck").scrollIntoView()');
    },
  },
];

const [directory] = process.argv.slice(2);
if (directory?.startsWith("-") === true) {
  process.stdout.write(`${USAGE}\n`);
} else {
  await using browser = await launchBrowser();
  if (directory === undefined) {
    for (const scene of SCENES)
      if (/storm|stuck/.test(scene.name)) await take(browser, scene, "light", 1280, join(README_IMAGES, `${scene.name}.png`));
  } else {
    mkdirSync(directory, { recursive: true });
    for (const scene of SCENES)
      for (const scheme of ["light", "dark"] as const)
        for (const width of [1280, 390]) await take(browser, scene, scheme, width, join(directory, `${scene.name}-${scheme}-${width}.png`));
  }
}

async function take(
  browser: Browser,
  { name, settings, play }: Scene,
  colorScheme: "light" | "dark",
  width: number,
  path: string,
): Promise<void> {
  const prepared = (await settings?.()) ?? NO_PROVIDERS;
  try {
    await using file = await startOnFile(prepared.settings);
    if (name === "stuck-refunds") {
      for (const [n, minutes] of [190, 42].entries()) {
        await fail(file.running.service.journal, `order-${1021 + n}`, ["payment"], Date.now() - minutes * MINUTE_MS);
      }
    }
    await using opened = await openPage(browser, file.running.adminPort, {
      colorScheme,
      reducedMotion: "no-preference",
      viewport: { width, height: width < 600 ? 844 : 760 },
    });
    const { page } = opened;
    await play(page, file.running.port);
    await eventually("a connection", () => page.locator('#link[data-state="live"]').count());
    // A picture of the buttons pressed last would have scrolled there.
    if (!name.startsWith("stuck")) await page.evaluate("scrollTo(0, 0)");
    await pause(200);
    await page.screenshot({ path });
    process.stdout.write(`${path}\n`);
  } finally {
    await prepared.close();
  }
}
