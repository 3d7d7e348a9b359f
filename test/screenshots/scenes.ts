import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Page } from "playwright-core";
import { ServerProcess } from "../../load/server-process.ts";
import { startStandIn } from "../../load/stand-in/stand-in.ts";
import { perStepSetting } from "../../src/orders/steps.ts";
import { fail, type OnFile } from "../admin/fixture.ts";
import { press } from "../admin/live/open-page.ts";
import { postOrder } from "../support/http-client.ts";

const MINUTE_MS = 60_000;
/** Some of what is in the picture before it is taken. */
const FOR_A_WHILE_MS = 1_500;
// The storm takes about three seconds; this is in its midst, and the last two seconds are full of it.
const MIDST_OF_STORM_MS = 2_400;

/** What a picture shows. */
export interface Scene {
  readonly name: string;
  /** The file under docs/images; none where no page shows it. */
  readonly image?: string;
  readonly settings?: () => Promise<Prepared>;
  /** Brings it about on an open live page. What it needs until its pictures are taken goes on `later`. */
  readonly play: (page: Page, file: OnFile, later: AsyncDisposableStack) => Promise<void>;
}

interface Prepared extends AsyncDisposable {
  readonly settings: Record<string, string>;
}

export const SIMULATED: Prepared = { settings: { THREADS: "2", CPU_THREADS: "2" }, [Symbol.asyncDispose]: async () => {} };

export const SCENES: readonly Scene[] = [
  { name: "idle", play: () => pause(FOR_A_WHILE_MS) },
  {
    name: "failure",
    image: "failure.png",
    async play(page) {
      // The first one starts the thread that computes, which a busy machine may take long for.
      for (let n = 0; n < 2; n++) await (await press(page, "Fail a payment"))(/declined/);
      await pause(FOR_A_WHILE_MS);
    },
  },
  {
    name: "storm",
    image: "storm.png",
    async play(page) {
      // Its pictures are taken while it goes on.
      await press(page, "Storm: 2000 fail");
      await pause(MIDST_OF_STORM_MS);
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
    async play(page, _file, later) {
      const directory = mkdtempSync(join(tmpdir(), "crash-"));
      later.defer(() => rmSync(directory, { recursive: true }));
      const settings = { ...SIMULATED.settings, JOURNAL: join(directory, "orders.db") };
      const first = await ServerProcess.start(settings);
      await page.goto(`${first.adminUrl}/`);
      await page.getByRole("button", { name: "10 s in the picture" }).click();
      await press(page, "Crash the process");
      await first.ended;
      later.use(await ServerProcess.start({ ...settings, PORT: String(first.port), ADMIN_PORT: new URL(first.adminUrl).port }));
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
      const settings = { ...perStepSetting("URL", (step) => standIn.urls[step]), THREADS: "2" };
      return { settings, [Symbol.asyncDispose]: () => standIn.close() };
    },
    async play(page, { running: { port, service } }) {
      await fail(service.journal, "order-1021", ["payment", "vendor"], Date.now() - 190 * MINUTE_MS);
      await fail(service.journal, "order-1022", ["payment"], Date.now() - 42 * MINUTE_MS);
      for (let n = 1; n <= 4; n++) await postOrder(port, { order_id: `order-${1040 + n}`, amount: 1_990 * n });
      await page.locator("#stuck-body tbody tr").nth(5).waitFor();
      // Where it is narrow nobody sees it beside the panel to which it leads.
      await page.locator("#alarm:not([hidden])").waitFor({ state: "attached" });
      await pause(FOR_A_WHILE_MS);
    },
  },
  {
    name: "docs",
    async play(page, { running: { port } }) {
      await page.goto(`http://127.0.0.1:${port}/docs`);
      await page.locator("section").first().waitFor();
    },
  },
];
