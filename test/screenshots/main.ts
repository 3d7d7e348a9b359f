import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Browser, CDPSession, Page } from "playwright-core";
import { startOnFile } from "../admin/fixture.ts";
import { openPage } from "../admin/live/open-page.ts";
import { launchBrowser } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";
import { SCENES, type Scene, SIMULATED } from "./scenes.ts";

const IMAGES_OF_PAGES = fileURLToPath(new URL("../../docs/images/", import.meta.url));
const DIRECTORY = join(tmpdir(), "order-pipeline-screenshots");
const USAGE = `usage: npm run screenshots [-- [--pages] [--to DIRECTORY] [SCENE ...]]

Makes pictures of the live page and of /docs: wide and narrow, light and dark, in forced colors, and as the color-blind see them.
All scenes, or those that are named: ${SCENES.map(({ name }) => name).join(", ")}.

  --to DIRECTORY  where they go; otherwise ${DIRECTORY}
  --pages         only those that pages show, into docs/images
`;
// The canvas has its new colors by then.
const REDRAWN_MS = 300;

/** How a picture is looked at. */
interface Look {
  readonly name: string;
  readonly media: Parameters<Page["emulateMedia"]>[0];
  readonly vision?: "protanopia" | "deuteranopia" | "tritanopia" | "achromatopsia";
}

const LIGHT: Look = { name: "light", media: { colorScheme: "light", forcedColors: "none" } };
const DARK: Look = { name: "dark", media: { colorScheme: "dark", forcedColors: "none" } };
const LOOKS: readonly (readonly [width: number, looks: readonly Look[]])[] = [
  [
    1280,
    [
      LIGHT,
      DARK,
      { name: "forced-colors", media: { colorScheme: "dark", forcedColors: "active" } },
      ...(["protanopia", "deuteranopia", "tritanopia", "achromatopsia"] as const).map((vision) => ({ ...LIGHT, name: vision, vision })),
    ],
  ],
  [390, [LIGHT, DARK]],
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { pages: { type: "boolean" }, to: { type: "string", default: DIRECTORY }, help: { type: "boolean", short: "h" } },
});
if (values.help === true) process.stdout.write(USAGE);
else {
  await using browser = await launchBrowser();
  const scenes = SCENES.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  if (values.pages === true) {
    for (const scene of scenes)
      if (scene.image !== undefined) await take(browser, scene, 1280, [[LIGHT, join(IMAGES_OF_PAGES, scene.image)]]);
  } else {
    mkdirSync(values.to, { recursive: true });
    for (const scene of scenes) {
      for (const [width, looks] of LOOKS)
        await take(
          browser,
          scene,
          width,
          looks.map((look) => [look, join(values.to, `${scene.name}-${width}-${look.name}.png`)] as const),
        );
    }
  }
}

/** Plays a scene once and takes its pictures, one look after the other. */
async function take(browser: Browser, scene: Scene, width: number, pictures: readonly (readonly [Look, path: string])[]): Promise<void> {
  await using prepared = (await scene.settings?.()) ?? SIMULATED;
  await using later = new AsyncDisposableStack();
  await using file = await startOnFile(prepared.settings);
  const [[first] = [LIGHT]] = pictures;
  await using opened = await openPage(browser, file.running.adminPort, {
    colorScheme: first.media?.colorScheme ?? null,
    reducedMotion: "no-preference",
    viewport: { width, height: width < 600 ? 844 : 760 },
  });
  const { page } = opened;
  const devtools = await page.context().newCDPSession(page);
  await page.getByRole("button", { name: "2 s in the picture" }).click();
  await scene.play(page, file, later);
  if ((await page.locator("#link").count()) > 0) await eventually("a connection", () => page.locator('#link[data-state="live"]').count());
  await page.mouse.move(0, 0);
  for (const [look, path] of pictures) {
    if (look !== first) await see(page, devtools, look);
    // A picture of the buttons pressed last would have scrolled there.
    await page.evaluate("scrollTo(0, 0)");
    await page.screenshot({ path });
    process.stdout.write(`${path}\n`);
  }
}

async function see(page: Page, devtools: CDPSession, { media, vision = undefined }: Look): Promise<void> {
  await page.emulateMedia(media);
  await devtools.send("Emulation.setEmulatedVisionDeficiency", { type: vision ?? "none" });
  await pause(REDRAWN_MS);
}
