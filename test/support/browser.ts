import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Where a Chromium is: `CHROME_PATH`, or where Debian and others put it. Undefined where there is none. */
export const CHROMIUM: string | undefined = process.env.CHROME_PATH ?? PLACES.find((path) => existsSync(path));

/** What the name of a group of tests ends with: why they do not run, where they do not. */
export const SKIPPED = CHROMIUM === undefined ? " (skipped: no Chromium was found; CHROME_PATH can name one)" : "";

// A browser that asks its maker for news is busy with that for long on a machine without a way out.
const QUIET = [
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-gpu",
  // Playwright's own list, of which this takes the place, without what only other systems and real sites have; and, at its end, the suggestions
  // of the address bar: two pages of their own for each window, which nobody sees and which cost more than the page that is tested.
  `--disable-features=${[
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
    "LensOverlay",
    "MediaRouter",
    "PaintHolding",
    "OptimizationHints",
    "NetworkTimeServiceQuerying",
    "AimEnabled",
    "PreconnectToSearch",
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxFullPopup",
    "SpareRendererForSitePerProcess",
  ]}`,
];

/** Starts the browser that `CHROMIUM` names, without a window. */
export function launchBrowser(): Promise<Browser> {
  if (CHROMIUM === undefined) throw new Error("no Chromium was found; CHROME_PATH can name one");
  // Its sandbox does not start for root, which is who runs tests in containers.
  return chromium.launch({ executablePath: CHROMIUM, args: [...QUIET, ...(process.getuid?.() === 0 ? ["--no-sandbox"] : [])] });
}
