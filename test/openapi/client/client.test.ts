import { type ExecFileOptionsWithStringEncoding, execFile } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { STEPS } from "../../../src/orders/steps.ts";
import { newId, send } from "../../support/http-client.ts";
import { startService, type TestService } from "../../support/service.ts";

const NODE_MODULES = fileURLToPath(new URL("../../../node_modules", import.meta.url));
const TSC = join(NODE_MODULES, "typescript/bin/tsc");
const GENERATE = fileURLToPath(new URL("generate.ts", import.meta.url));
const OPTIONS = ["--strict", "--exactOptionalPropertyTypes", "--noEmit", "--skipLibCheck", "--allowImportingTsExtensions"];
const MODULES = ["--module", "nodenext", "--target", "esnext", "--lib", "esnext,dom", "--types", "node"];

/** A program as a client would write it. The comments say where the types have to object; without an objection they are an error themselves. */
const PROGRAM = `
import createClient from "openapi-fetch";
import type { paths } from "./api.ts";

const [, , baseUrl = "", id = ""] = process.argv;
const client = createClient<paths>({ baseUrl });

const placed = await client.POST("/order", { params: { header: { "Idempotency-Key": id } }, body: { order_id: id, amount: 1200 } });
if (placed.error !== undefined) throw new Error(placed.error.error.kind);
const status: "ok" = placed.data.status;
const steps: readonly string[] = placed.data.steps.map(({ name, status, duration_ms }) => \`\${name} \${status} \${typeof duration_ms}\`);

const failed = await client.POST("/order", { body: { order_id: \`\${id}-failed\`, amount: 1, fail_step: "vendor", delay_ms: { vendor: 1 } } });
if (failed.error === undefined) throw new Error("placed");
const kind: "vendor_unavailable" | "bad_request" = failed.error.error.kind as "vendor_unavailable";

const shown = await client.GET("/order/{order_id}", { params: { path: { order_id: id } } });
const attempts: number | undefined = shown.data?.attempts_total;
console.log(JSON.stringify({ status, steps, kind, failed: failed.response.status, attempts, amount: shown.data?.amount }));

export function neverCalled() {
  // @ts-expect-error an amount is a number
  void client.POST("/order", { body: { order_id: id, amount: "1200" } });
  // @ts-expect-error an order has an id
  void client.POST("/order", { body: { amount: 1200 } });
  // @ts-expect-error there is no such step
  void client.POST("/order", { body: { order_id: id, amount: 1200, fail_step: "kitchen" } });
  // @ts-expect-error a path has its parameter
  void client.GET("/order/{order_id}", {});
  // @ts-expect-error there is no such path
  void client.GET("/orders", {});
  // @ts-expect-error an error has no steps before it is known to be one of an order
  void failed.error.steps;
}
`;

/** What a script of Node printed. Throws with all of it when it fails. */
function run(
  script: string,
  args: readonly string[],
  options: Omit<ExecFileOptionsWithStringEncoding, "encoding">,
  input = "",
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(process.execPath, [script, ...args], { ...options, encoding: "utf8", maxBuffer: 2 ** 24 }, (error, out, err) =>
      error === null ? resolve(out) : reject(new Error(`${script}: ${out}${err}`)),
    );
    child.stdin?.end(input);
  });
}

let server: TestService;
const directory = mkdtempSync(join(tmpdir(), "generated-client-"));
beforeAll(async () => {
  server = await startService({ THREADS: "1", CPU_THREADS: "1" });
  symlinkSync(NODE_MODULES, join(directory, "node_modules"), "junction");
});
afterAll(async () => {
  await server?.stop();
  rmSync(directory, { recursive: true });
});

test("a client that openapi-typescript makes of the document is type-checked and places an order", async () => {
  const { text } = await send(server.port, { path: "/openapi.json" });
  writeFileSync(join(directory, "api.ts"), await run(GENERATE, [], {}, text));
  writeFileSync(join(directory, "package.json"), '{"type":"module"}');
  writeFileSync(join(directory, "place-order.ts"), PROGRAM);
  await run(TSC, [...OPTIONS, ...MODULES, "place-order.ts"], { cwd: directory });
  const id = newId("generated");
  const printed = await run(join(directory, "place-order.ts"), [`http://127.0.0.1:${server.port}`, id], { cwd: directory });
  expect(JSON.parse(printed)).toEqual({
    status: "ok",
    steps: STEPS.map((step) => `${step} ok number`),
    kind: "vendor_unavailable",
    failed: 503,
    attempts: 1,
    amount: 1200,
  });
});
