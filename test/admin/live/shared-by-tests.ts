import type { Browser } from "playwright-core";
import { afterAll, beforeAll } from "vitest";
import { launchBrowser } from "../../support/browser.ts";
import { type OnFile, startOnFile } from "../fixture.ts";

interface Shared {
  file: OnFile;
  browser: Browser;
  port: number;
  adminPort: number;
}

/** A service on a journal in a file, and a browser: there from before the first test of a `describe` until after its last. */
export function sharedByTests(): Readonly<Shared> {
  const shared: Partial<Shared> = {};
  beforeAll(async () => {
    [shared.file, shared.browser] = await Promise.all([startOnFile({ ORDER_TIMEOUT_MS: "60000" }), launchBrowser()]);
    ({ port: shared.port, adminPort: shared.adminPort } = shared.file.running);
  });
  afterAll(async () => {
    await shared.browser?.close();
    await shared.file?.[Symbol.asyncDispose]();
  });
  return shared as Shared;
}
