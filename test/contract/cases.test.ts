// @module-tag three-steps
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { type StepName, simulatedDelayMs } from "../../src/orders/steps.ts";
import { fastOnce } from "../support/fast-once.ts";
import { type Received, send, threadsPage } from "../support/http-client.ts";
import { freshDatabase } from "../support/postgres/index.ts";
import { startService, type TestService } from "../support/service.ts";

const COPY = new URL("cases.json", import.meta.url);
const ORIGINAL = new URL("../../../shared/contract/cases.json", import.meta.url);

// Strict, so that a word of the file that this test does not understand fails instead of being skipped over.
const CASE = z.strictObject({
  name: z.string(),
  method: z.string().default("POST"),
  path: z.string().default("/order"),
  headers: z.record(z.string(), z.string()).default({}),
  body: z.unknown().optional(),
  raw: z.string().optional(),
  body_of_bytes: z.int().optional(),
  expect: z.strictObject({
    status: z.int(),
    headers: z.record(z.string(), z.string()).default({}),
    body: z.record(z.string(), z.unknown()).default({}),
    steps: z.array(z.string()).optional(),
    detail: z.array(z.string()).optional(),
    message_has: z.string().optional(),
    at_least_ms: z.number().default(0),
    within_ms: z.number().optional(),
  }),
});
type Expected = z.infer<typeof CASE>["expect"];
type Request = Omit<z.infer<typeof CASE>, "name" | "expect">;
const FILE = z.strictObject({ note: z.string(), cases: z.array(CASE).min(30) });
const STORES = ["memory", "file", "postgres"] as const;
const STEPS = ["payment", "vendor", "courier"];
// Less than lies between the ends of any two steps of a case, of which one has to be first.
const LATE_MS = 100;

const { cases } = FILE.parse(JSON.parse(readFileSync(COPY, "utf8")));

describe.each(STORES)("the contract's cases with the journal in %s", (store) => {
  let server: TestService;
  const started = new AsyncDisposableStack();
  const startOn = async () => started.use(await startService({ JOURNAL: await journalIn(store, started) }));
  beforeAll(async () => {
    server = await startOn();
  });
  afterAll(() => started.disposeAsync());

  test.each(cases)("$name", async ({ name, expect: expected, ...request }) => {
    let tries = 0;
    const attempt = async (port: number) => {
      const answer = await ask(port, request);
      return isHeldUp(answer, request, expected) ? Number.POSITIVE_INFINITY : answer.elapsedMs;
    };
    await fastOnce(name, expected.within_ms ?? Number.POSITIVE_INFINITY, async () => {
      if (tries++ === 0) return await attempt(server.port);
      // A case is a request to a server that has seen no order of its id.
      return await attempt((await startOn()).port);
    });
  });

  test("leave nothing running", async () => {
    const page = await threadsPage(server.adminPort);
    expect(page).toMatchObject({ running: 0, orders_in_flight: 0, replaced: 0 });
    expect(page.started).toBeGreaterThan(0);
    expect(page.finished).toBe(page.started);
  });
});

/** What JOURNAL says for an empty journal, which goes after the service. */
async function journalIn(store: (typeof STORES)[number], all: AsyncDisposableStack): Promise<string> {
  switch (store) {
    case "memory":
      return "memory";
    case "file": {
      const directory = mkdtempSync(join(tmpdir(), "cases-"));
      all.defer(() => rmSync(directory, { recursive: true }));
      return join(directory, "orders.db");
    }
    case "postgres":
      return all.use(await freshDatabase()).url;
  }
}

test.skipIf(!existsSync(ORIGINAL))("the copy of the cases says what the original says", () => {
  expect(JSON.parse(readFileSync(COPY, "utf8"))).toEqual(JSON.parse(readFileSync(ORIGINAL, "utf8")));
});

/** Sends a case. */
function ask(port: number, { method, path, headers, body, raw, body_of_bytes }: Request): Promise<Received> {
  return send(port, { method, path, headers, body: body ?? raw ?? paddedOrder(body_of_bytes) });
}

/** Checks an answer, all but its latest time. Throws unless it is as expected, or tells of a step that was held up: then returns true. */
function isHeldUp(answer: Received, request: Request, expected: Expected): boolean {
  try {
    check(answer, expected);
    return false;
  } catch (error) {
    if (hasLateStep(answer, request, expected)) return true;
    throw error;
  }
}

function check(answer: Received, expected: Expected): void {
  expect({ status: answer.status, body: answer.json }).toMatchObject({ status: expected.status, body: expected.body });
  expect(answer.headers).toMatchObject({ "content-type": expect.stringMatching(/^application\/json\b/), ...expected.headers });
  expect(answer.headers["x-request-id"]).toMatch(/./);
  expect(answer.text).not.toMatch(/:null\b/);
  const { steps, error } = answer.json;
  if (expected.steps !== undefined) {
    expect(steps.map((step: AnsweredStep) => step.name)).toEqual(STEPS);
    expect(steps.map((step: AnsweredStep) => step.status)).toEqual(expected.steps);
    for (const step of steps) expect(step.duration_ms).toSatisfy((ms: number) => Number.isInteger(ms) && ms >= 0);
  }
  if (expected.detail !== undefined) expect(steps.map((step: AnsweredStep) => step.detail)).toEqual(expected.detail);
  if (expected.message_has !== undefined) expect(error.message).toContain(expected.message_has);
  expect(answer.elapsedMs).toBeGreaterThanOrEqual(expected.at_least_ms);
}

interface AnsweredStep {
  readonly name: StepName;
  readonly status: string;
  readonly detail?: string;
  readonly duration_ms: number;
}

/**
 * Whether a step that was to end by itself took longer than its order asked for: it waited for a courier, or for a processor, and meanwhile
 * another may have come first.
 */
function hasLateStep({ json }: Received, { body }: Request, expected: Expected): boolean {
  if (!Array.isArray(json.steps)) return false;
  const { delay_ms, cpu_ms } = (body ?? {}) as Partial<Record<"delay_ms" | "cpu_ms", Partial<Record<StepName, number>>>>;
  return (json.steps as AnsweredStep[]).some(({ name, duration_ms }, index) => {
    const takesMs = (cpu_ms?.[name] ?? 0) + simulatedDelayMs(name, delay_ms?.[name], cpu_ms?.[name]);
    return expected.steps?.[index] !== "canceled" && duration_ms > takesMs + LATE_MS;
  });
}

/** An order that breaks no rule but that of the size. */
function paddedOrder(bytes: number | undefined): string | undefined {
  return bytes === undefined ? undefined : JSON.stringify({ order_id: "padded", amount: 1 }).padEnd(bytes);
}
