import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { ServerProcess } from "../../load/server-process.ts";
import { startStandIn } from "../../load/stand-in/stand-in.ts";
import { perStepSetting } from "../../src/orders/steps.ts";
import { fail, startOnFile } from "../admin/fixture.ts";
import { openPage, press } from "../admin/live/open-page.ts";
import { launchBrowser } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";
import { postOrder } from "../support/http-client.ts";

const IMAGES_OF_PAGES = fileURLToPath(new URL("../../docs/images/", import.meta.url));
const USAGE = `usage: npm run screenshots [-- DIRECTORY [SCENE ...]]

Makes the pictures of the pages under docs/images, or those of all or the named scenes in DIRECTORY: light and wide, dark and narrow, and in forced colors.`;
const MINUTE_MS = 60_000;
// Some of the last ten seconds before the picture is taken.
const FOR_A_WHILE_MS = 1_500;

/** What a picture shows: how to bring it about on an open page. */
interface Scene {
  readonly name: string;
  /** The file under docs/images; none where no page shows it. */
  readonly image?: string;
  readonly settings?: () => Promise<{ settings: Record<string, string>; close: () => Promise<void> }>;
  readonly play: (page: Page, port: number) => Promise<void>;
}

const NO_PROVIDERS = { settings: { THREADS: "2", CPU_THREADS: "2" }, close: async () => {} };

/** What a scene with processes of its own leaves for the end of its picture. */
let crashed = new AsyncDisposableStack();

const SCENES: readonly Scene[] = [
  { name: "idle", play: () => pause(FOR_A_WHILE_MS) },
  {
    name: "failure",
    image: "failure.png",
    async play(page) {
      await (await press(page, "Fail a payment"))(/declined/);
      await page.mouse.move(0, 0);
      await pause(FOR_A_WHILE_MS);
    },
  },
  {
    name: "storm",
    image: "storm.png",
    async play(page) {
      await (await press(page, "Fail a vendor late"))(/vendor/);
      await (await press(page, "Hang up"))(/canceled/);
      await page.getByRole("button", { name: "10 s in the picture" }).click();
      // Its picture is taken while it goes on.
      await press(page, "Storm: 2000 fail");
      await pause(FOR_A_WHILE_MS);
    },
  },
  {
    name: "dead-thread",
    async play(page) {
      await page.getByRole("button", { name: "10 s in the picture" }).click();
      await (await press(page, "Kill a thread"))(/failed/);
      await (await press(page, "Stick a thread"))(/replaced/);
      await pause(FOR_A_WHILE_MS);
    },
  },
  {
    name: "refused",
    async play(page) {
      await (await press(page, "200 orders at once"))(/ok/);
      await pause(FOR_A_WHILE_MS);
    },
  },
  {
    name: "order",
    async play(page) {
      await (await press(page, "Fail a vendor late"))(/vendor/);
      await page.locator("#orders-rows button").first().click();
      await page.locator("#order table").waitFor();
    },
  },
  {
    name: "crash",
    async settings() {
      crashed = new AsyncDisposableStack();
      return { ...NO_PROVIDERS, close: () => crashed.disposeAsync() };
    },
    async play(page) {
      const directory = mkdtempSync(join(tmpdir(), "crash-"));
      crashed.defer(() => rmSync(directory, { recursive: true }));
      const settings = { THREADS: "2", CPU_THREADS: "2", JOURNAL: join(directory, "orders.db") };
      const first = await ServerProcess.start(settings);
      await page.goto(`${first.adminUrl}/`);
      await page.getByRole("button", { name: "10 s in the picture" }).click();
      await press(page, "Crash the process");
      await first.ended;
      crashed.use(await ServerProcess.start({ ...settings, PORT: String(first.port), ADMIN_PORT: new URL(first.adminUrl).port }));
      await page.locator("#recovered", { hasText: /\d compensated/ }).waitFor();
      await pause(FOR_A_WHILE_MS);
    },
  },
  {
    name: "stuck-refunds",
    image: "stuck-refunds.png",
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
    },
  },
];

interface Look {
  readonly name: string;
  readonly width: number;
  readonly colors: Pick<BrowserContextOptions, "colorScheme" | "forcedColors">;
}

const WIDE: Look = { name: "light-1280", width: 1280, colors: { colorScheme: "light" } };
const LOOKS: readonly Look[] = [
  WIDE,
  { name: "dark-390", width: 390, colors: { colorScheme: "dark" } },
  { name: "forced-1280", width: 1280, colors: { colorScheme: "dark", forcedColors: "active" } },
];

const [directory, ...names] = process.argv.slice(2);
if (directory?.startsWith("-") === true) {
  process.stdout.write(`${USAGE}\n`);
} else {
  await using browser = await launchBrowser();
  if (directory === undefined) {
    for (const scene of SCENES) if (scene.image !== undefined) await take(browser, scene, WIDE, join(IMAGES_OF_PAGES, scene.image));
  } else {
    mkdirSync(directory, { recursive: true });
    for (const scene of SCENES) {
      if (names.length > 0 && !names.includes(scene.name)) continue;
      for (const look of LOOKS) await take(browser, scene, look, join(directory, `${scene.name}-${look.name}.png`));
    }
  }
}

async function take(browser: Browser, { name, settings, play }: Scene, { width, colors }: Look, path: string): Promise<void> {
  const prepared = (await settings?.()) ?? NO_PROVIDERS;
  try {
    await using file = await startOnFile(prepared.settings);
    if (name === "stuck-refunds") {
      for (const [n, minutes] of [190, 42].entries()) {
        await fail(
          file.running.service.journal,
          `order-${1021 + n}`,
          n === 0 ? ["payment", "vendor"] : ["payment"],
          Date.now() - minutes * MINUTE_MS,
        );
      }
    }
    await using opened = await openPage(browser, file.running.adminPort, {
      ...colors,
      reducedMotion: "no-preference",
      viewport: { width, height: width < 600 ? 844 : 760 },
    });
    const { page } = opened;
    await page.getByRole("button", { name: "2 s in the picture" }).click();
    await play(page, file.running.port);
    await eventually("a connection", () => page.locator('#link[data-state="live"]').count());
    // A picture of the buttons pressed last would have scrolled there.
    await page.evaluate("scrollTo(0, 0)");
    await pause(200);
    await page.screenshot({ path });
    process.stdout.write(`${path}\n`);
  } finally {
    await prepared.close();
  }
}
