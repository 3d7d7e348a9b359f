import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { section } from "../support/markdown.ts";
import { Site } from "./site.ts";

const page = readFileSync(join(import.meta.dirname, "../../docs/operating.md"), "utf8");
const text = section(page, /^### Restore a backup/);
const blocksOf = (language: string) =>
  [...text.matchAll(new RegExp(`^ *\`\`\`${language}\n([^]*?)\`\`\``, "gm"))].map(([, block = ""]) => block);
const commands = blocksOf("sh").flatMap((block) =>
  block
    .trim()
    .split("\n")
    .map((line) => line.trim()),
);

/** The field names and types of a value, of an array those of each shape in it once. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return [...new Set(value.map((item) => JSON.stringify(shapeOf(item))))].sort();
  if (typeof value !== "object" || value === null) return typeof value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, shapeOf(field)]));
}

const hasCurl = spawnSync("curl", ["--version"]).status === 0;

test.skipIf(!hasCurl)("the page's own commands, in its order, restore a backup and let go what it held", async () => {
  expect(commands).toHaveLength(6);
  await using site = await Site.open();
  const paying = Promise.withResolvers<void>();
  let down = true;
  const paid = new Set<string>();
  site.answer = async ({ path, orderId }) => {
    if (orderId === "shoes-1" && path === "/payments" && down) {
      paying.resolve();
      await eventually("the restore", () => !down);
    }
    if (path === "/payments") paid.add(orderId);
    if (orderId !== "shoes-1" && path === "/orders") {
      // A payment that had not begun would leave nothing to refund.
      await eventually("its payment", () => paid.has(orderId));
      return 422;
    }
    return path === "/refunds" && down ? 503 : 200;
  };
  await site.start();
  await site.order("socks-7");
  await site.order("hat-2");
  const compensationsOf = async (orderId: string) => (await site.look(orderId)).attempts[0].compensations;
  const isOnlyRefundLeft = (all: { step: string; status: string }[]) =>
    all.every(({ step, status }) => step === "payment" || status === "done");
  for (const orderId of ["socks-7", "hat-2"]) await eventually("its release", () => compensationsOf(orderId), isOnlyRefundLeft);
  const unanswered = site.order("shoes-1").catch(() => undefined);
  await paying.promise;
  await site.backUp("monday.db");
  await site.kill();
  await unanswered;

  let settledId = 0;
  const run = (command: string): string => {
    const here = command.replace("127.0.0.1:9090", () => `127.0.0.1:${site.adminPort}`).replace("/4711/", `/${settledId}/`);
    const { status, stdout, stderr } = spawnSync("sh", ["-c", here], { cwd: site.directory, encoding: "utf8" });
    expect({ command, status, stderr }).toEqual({ command, status: 0, stderr: "" });
    return stdout;
  };
  const [putAside = "", install = "", show = "", ...letGo] = commands;
  run(putAside);
  run(install);
  await site.start();
  await eventually("the warning", () =>
    site.warnings.some(({ msg }) => text.includes("held since a restore") && /^held since a restore/.test(String(msg))),
  );
  const state = JSON.parse(run(show));
  expect(shapeOf(state)).toEqual(shapeOf(JSON.parse(blocksOf("json")[0] ?? "")));
  const { id, last_answer } = state.held.find((held: { order_id: string }) => held.order_id === "socks-7").compensations[0];
  expect(last_answer).toBe(JSON.parse(blocksOf("json")[0] ?? "").held[0].compensations[0].last_answer);
  settledId = id;
  down = false;
  const answers = letGo.map((command) => JSON.parse(run(command)));
  expect(answers).toEqual([
    { status: "ok", order_id: "shoes-1", compensations: 3 },
    expect.objectContaining({ order_id: "socks-7", state: "settled" }),
    { status: "ok", compensations: 1 },
  ]);
  const everythingUndone = async () => (await site.admin("GET", "/orders?status=compensating")).json.orders.length === 0;
  await eventually("everything to be undone", everythingUndone);
  expect(site.undone("shoes-1").sort()).toEqual(["/cancellations", "/refunds", "/releases"]);
});
