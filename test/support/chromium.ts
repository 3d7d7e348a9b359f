import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The browser of `CHROME_PATH`, or one where distributions put it; undefined where there is none. Throws where `CHROME_PATH` names none. */
export function chromiumPath(): string | undefined {
  const { CHROME_PATH } = process.env;
  if (CHROME_PATH !== undefined && CHROME_PATH !== "") {
    if (!existsSync(CHROME_PATH)) throw new Error(`CHROME_PATH: there is no ${CHROME_PATH}`);
    return CHROME_PATH;
  }
  return PLACES.find((path) => existsSync(path));
}

/** A browser without a window that talks to nobody but the pages it is sent to. */
export function launchChromium(executablePath: string): Promise<Browser> {
  // Root has no sandbox. The others keep it from looking for hosts of its maker.
  const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
  return chromium.launch({ executablePath, args: [...args, "--disable-component-update", "--disable-sync"] });
}
