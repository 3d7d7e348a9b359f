// @module-tag three-steps
import { mkdtempDisposableSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ChildServer } from "../support/child-server.ts";
import { postOrder, send } from "../support/http-client.ts";
import { CopyWithStep, readGuide } from "./guide.ts";

interface StepView {
  readonly name: string;
  readonly status: string;
}

const SOON = { payment: 1, vendor: 1, courier: 1 };

const guide = readGuide();
let copy: CopyWithStep;
beforeAll(() => {
  copy = new CopyWithStep(guide);
});
afterAll(() => copy[Symbol.dispose]());

/** The guide's definition without one of its lines, or with a line changed. */
const without = (line: RegExp, instead = "") => {
  const changed = guide.definition.replace(line, instead);
  expect(changed).not.toBe(guide.definition);
  return changed;
};

test("touches two files of the code", () => {
  expect([guide.file, ...guide.changes.keys()]).toEqual(["src/orders/steps/loyalty.ts", "src/orders/steps.ts"]);
});

describe("the compiler", () => {
  const fields = [...guide.definition.matchAll(/^ {2}(\w+):/gm)].map(([, field = ""]) => field);

  test("is asked about every part of a definition", () => {
    expect(fields).toEqual(["provider", "perform", "compensate", "capacity", "simulated", "errors", "meaning"]);
  });

  const lacking: ReadonlyArray<readonly [name: string, definition: string]> = [
    ...fields.map((field) => [field, without(new RegExp(`^ {2}${field}:(?: [^\\n]*,| \\{\\n[\\s\\S]*?^ {2}\\},)\\n`, "m"))] as const),
    ["path", without(/path: "\w+", /)],
    ["hasAmount", without(/hasAmount: \w+, /)],
    ["acts", without(/, acts: "\w+"/)],
    ["atMost", without(/atMost: [\d_]+, /)],
    ["delayMs", without(/delayMs: \d+, /)],
    ["definite", without(/\n *definite: "\w+",/)],
    ["circuitOpen", without(/\n *circuitOpen: "\w+",/)],
    ["when", without(/,\s+when: "[^"]*",?/)],
  ];

  test("names what a definition lacks, and an error kind that the step says it fails with and does not describe", () => {
    const undescribed = without(/failsWith: "\w+"/, 'failsWith: "no_such_kind"');
    const definitions = [guide.definition, ...lacking.map(([, definition]) => definition), undescribed];
    expect(copy.complaintsAbout(definitions)).toEqual([
      "",
      ...lacking.map(([name]) => expect.stringContaining(`'${name}'`)),
      expect.stringContaining("no_such_kind"),
    ]);
  });
});

test("the service runs it beside the others, cancels it with them and fails with its kind", async () => {
  await using server = new ChildServer({ LOYALTY_CAPACITY: "7" }, undefined, { cwd: copy.directory });
  const { port, adminPort } = await server.ports();
  const soon = { payment: 1, vendor: 1, courier: 1, loyalty: 1 };
  const placed = await postOrder(port, { order_id: "four", amount: 1, delay_ms: soon });
  expect(placed.json.steps.map(({ name, status }: StepView) => `${name} ${status}`)).toEqual([
    "payment ok",
    "vendor ok",
    "courier ok",
    "loyalty ok",
  ]);

  const delayMs = { ...soon, vendor: 60_000, loyalty: 300 };
  const failed = await postOrder(port, { order_id: "fails", amount: 1, fail_step: "loyalty", delay_ms: delayMs });
  expect([failed.status, failed.json.error.kind]).toEqual([503, "no_points"]);
  expect(failed.json.steps.map(({ name, status }: StepView) => `${name} ${status}`)).toEqual([
    "payment ok",
    "vendor canceled",
    "courier ok",
    "loyalty error",
  ]);
  const steps = (await send(port, { path: "/openapi.json" })).json.components.schemas.Order.properties.fail_step.enum;
  expect(steps).toContain("loyalty");
  expect((await send(adminPort, { path: "/metrics" })).text).toContain('capacity_in_use{step="loyalty"} 0');
});

test("its own work takes the place of the call, and nothing else of the project has to change for a further step", {
  timeout: 600_000,
}, async () => {
  copy.follow(readGuide(/^## A step with work of its own$/));
  // Once, for it takes eight seconds of CPU; the definition before was compiled beside its like.
  expect(copy.complaints()).toEqual([]);
  await using server = new ChildServer({}, undefined, { cwd: copy.directory });
  const { port } = await server.ports();
  const placed = await postOrder(port, { order_id: "few", amount: 1_000_000, delay_ms: SOON });
  expect(placed.json.steps.at(-1)).toMatchObject({ name: "loyalty", status: "ok" });
  const refused = await postOrder(port, { order_id: "many", amount: 1_000_001, delay_ms: SOON });
  expect([refused.status, refused.json.error.kind]).toEqual([503, "no_points"]);
});

test("keys keep their answers when the step comes, and when it goes again", async () => {
  using directory = mkdtempDisposableSync(join(tmpdir(), "with-and-without-"));
  const JOURNAL = join(directory.path, "orders.db");
  const order = (id: string, amount: number) => ({ order_id: id, amount, delay_ms: SOON });
  const keyed = (id: string) => ({ headers: { "idempotency-key": id } });
  /** Of a version with or without the step. */
  const answers = async (cwd: string | undefined, ...orders: ReturnType<typeof order>[]) => {
    await using server = new ChildServer({ JOURNAL }, undefined, cwd === undefined ? {} : { cwd });
    const { port } = await server.ports();
    const got = [];
    for (const one of orders) got.push(await postOrder(port, one, keyed(one.order_id)));
    server.signal("SIGTERM");
    expect(await server.exited).toEqual({ code: 0, signal: null });
    return got.map(({ status, text, headers }) => ({ status, text, isReplay: headers["idempotent-replayed"] === "true" }));
  };
  const [before] = await answers(undefined, order("before", 1));
  expect(before).toMatchObject({ status: 200, isReplay: false });
  const [again, failed] = await answers(copy.directory, order("before", 1), order("with", 1_000_001));
  expect(again).toEqual({ ...before, isReplay: true });
  expect([failed?.status, failed?.text]).toEqual([503, expect.stringContaining("no_points")]);
  // The older version does not know which status that kind had.
  expect(await answers(undefined, order("with", 1_000_001))).toEqual([{ status: 500, text: failed?.text, isReplay: true }]);
});

test("a step of its own work that leaves nothing behind needs no compensation, and holds no failed order pending", async () => {
  const { file, definition } = readGuide(/^## A step with work of its own$/);
  const withoutEffect = definition.replace(/ {2}async compensate[\s\S]*?^ {2}\},\n/m, "");
  expect(withoutEffect).not.toContain("compensate(");
  copy.write(file, withoutEffect);
  await using server = new ChildServer({ ORDER_TIMEOUT_MS: "60000" }, undefined, { cwd: copy.directory });
  const { port } = await server.ports();
  const delayMs = { payment: 2_000, vendor: 1, courier: 1 };
  const failed = await postOrder(port, { order_id: "none", amount: 1, fail_step: "payment", delay_ms: delayMs });
  expect(failed.json.steps.at(-1)).toMatchObject({ name: "loyalty", status: "ok", compensation: "done" });
});
