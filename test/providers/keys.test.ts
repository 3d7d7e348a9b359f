import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Call } from "../../load/stand-in/call.ts";
import { startStandIn } from "../../load/stand-in/stand-in.ts";
import { perStepSetting, STEPS, stepSetting } from "../../src/orders/steps.ts";
import { readProviderKeys } from "../../src/provider-keys.ts";
import { SecretFileError } from "../../src/secret-file.ts";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { postOrder } from "../support/http-client.ts";
import { startService } from "../support/service.ts";

const KEY = "sk_live_hunter2";
const SETTINGS = STEPS.map((step) => stepSetting(step, "KEY_FILE"));
const NONE = perStepSetting("KEY_FILE", () => undefined);
const RULE = "must hold one line of 1 to 8192 visible ASCII characters";

let directory: string;
let keyFile: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "keys-"));
  keyFile = fileWith(`  ${KEY}\r\n`);
});
afterAll(() => rmSync(directory, { recursive: true }));

let files = 0;
function fileWith(text: string): string {
  const file = join(directory, `key-${files++}`);
  writeFileSync(file, text);
  return file;
}

describe("a key file", () => {
  const [setting = ""] = SETTINGS;
  const refusalOf = (file: string) =>
    readProviderKeys({ ...NONE, [setting]: file }).then(
      () => expect.unreachable(),
      (error: Error) => error,
    );

  test.each(STEPS)("of the %s is read without the white space around its key", async (step) => {
    expect(await readProviderKeys({ ...NONE, [stepSetting(step, "KEY_FILE")]: keyFile })).toEqual({ [step]: KEY });
  });

  test.each([
    ["nothing", ""],
    ["white space", " \n\n"],
    ["two lines", `${KEY}\n${KEY}\n`],
    ["a space in its middle", `Bearer ${KEY}`],
    ["a control character", `${KEY}\u0007${KEY}`],
    ["what is not ASCII", `${KEY}é`],
    ["too much", "k".repeat(8193)],
  ])("with %s is refused, and shows none of it", async (_what, text) => {
    const file = fileWith(text);
    const error = await refusalOf(file);
    expect(error).toBeInstanceOf(SecretFileError);
    expect(error.message).toBe(`${setting}=${JSON.stringify(file)}: ${RULE}`);
  });

  test("that holds the key in place of a file name is refused, and not shown", async () => {
    const error = await refusalOf(KEY);
    expect(error).toBeInstanceOf(SecretFileError);
    expect(error.message).toBe(`${setting}: its file cannot be read (ENOENT)`);
  });
});

test("each provider gets its own key with every call and every compensation, and nothing else of it is seen", async () => {
  const calls: Call[] = [];
  const standIn = await startStandIn({
    faultModeOf(call) {
      calls.push(call);
      if (call.action === "perform") return call.step === "courier" ? { type: "refuse", status: 400, slowMs: 100 } : undefined;
      return call.nth === 1 ? { type: "failBefore", status: 401 } : undefined;
    },
  });
  const vendorKeyFile = fileWith("vendor-key");
  const service = await startService({
    ...perStepSetting("URL", () => standIn.url),
    PAYMENT_KEY_FILE: keyFile,
    VENDOR_KEY_FILE: vendorKeyFile,
  });
  const answer = await postOrder(service.port, { order_id: "keys", amount: 1 });
  expect(answer.status).toBe(500);
  await eventually(
    "both compensations",
    () => standIn.ledger.snapshot().counts,
    ({ refunds, cancellations }) => refunds + cancellations === 2,
  );
  await service.stop();
  await standIn.close();
  const sent = (step: string) => [...new Set(calls.filter((call) => call.step === step).map(({ headers }) => headers.authorization))];
  expect({ payment: sent("payment"), vendor: sent("vendor"), courier: sent("courier") }).toEqual({
    payment: [`Bearer ${KEY}`],
    vendor: ["Bearer vendor-key"],
    courier: [undefined],
  });
  expect(calls.filter(({ action }) => action === "compensate").length).toBeGreaterThan(3);
  const shown = JSON.stringify([answer.text, service.logged]);
  expect(shown).toContain("courier provider answered 400");
  expect(shown).not.toContain("hunter2");
  expect(shown).not.toContain("vendor-key");
});

test("a secret in the place of its file stops the start with one line that does not show it", async () => {
  const settings = { WEBHOOK_URL: "http://127.0.0.1:1", WEBHOOK_SECRET_FILE: `whsec_${KEY}`, LOG_LEVEL: "trace" };
  await using server = new ChildServer({ JOURNAL: join(directory, "orders.db"), ...settings });
  expect(await server.exited).toEqual({ code: 1, signal: null });
  expect([server.stdout, server.stderr]).toEqual(["", "order-pipeline: WEBHOOK_SECRET_FILE: its file cannot be read (ENOENT)\n"]);
});
