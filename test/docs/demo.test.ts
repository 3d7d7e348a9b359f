// @module-tag three-steps
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { OUTCOMES, type Outcome } from "../../load/demo/outcomes.ts";
import { tour } from "../../load/demo/tour.ts";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { startService } from "../support/service.ts";

const TRIES = 3;
const DEMO = "load/demo/main.ts";

// The tests of this file run side by side, because they wait most of the time.
test.concurrent("the tour shows the six outcomes as they are and leaves nothing on any thread; every difference counts", async () => {
  await using server = await startService({ ORDER_TIMEOUT_MS: "2000" });
  const stage = { api: `http://127.0.0.1:${server.port}`, admin: `http://127.0.0.1:${server.adminPort}` };
  const told = async (outcomes: readonly Outcome[]) => {
    const written: string[] = [];
    const write = (text: string) => void written.push(text);
    const wrong = await tour(stage, { outcomes, write, signal: new AbortController().signal });
    return { wrong, text: written.join("") };
  };
  // On a machine that stalls for half a second an order may end in another way. A fault of the tour shows in every try.
  let tries = 1;
  let first = await told(OUTCOMES);
  while (first.wrong > 0 && tries++ < TRIES) first = await told(OUTCOMES);
  const { wrong, text } = first;
  expect({ wrong, text }).toMatchObject({ wrong: 0, text: expect.not.stringContaining("FAULT") });
  expect([...text.matchAll(/^\d\. (.+)$/gm)].map(([, title]) => title)).toEqual(OUTCOMES.map(({ name }) => name));
  for (const part of ["200 ok", "400 payment_declined", "503 vendor_unavailable", "503 no_courier", "504 timeout", "No answer"]) {
    expect(text).toMatch(new RegExp(`^   ${part} after \\d+ ms: payment \\w+`, "m"));
  }
  expect(text.match(/^ +Stopped: [12] steps?, \d+ us after the cause$/gm)).toHaveLength(5);
  expect(text).toMatch(new RegExp(`^Threads: \\d+ alive, 0 replaced\\. Steps: ${23 * tries} started, 0 running, 0 leaked\\.$`, "m"));

  const [placed, declined] = OUTCOMES;
  if (placed === undefined || declined === undefined) throw new Error("no outcomes");
  const others = [
    { ...placed, status: 201 },
    { ...declined, kind: "timeout" },
    { ...placed, steps: { ...placed.steps, courier: { status: "canceled" as const } } },
    { ...placed, steps: { ...placed.steps, payment: { status: "ok" as const, compensation: "done" as const } } },
    { ...declined, steps: { ...declined.steps, vendor: { status: "canceled" as const, detail: "deadline" } } },
  ];
  const faulty = await told(others);
  expect([faulty.wrong, faulty.text.match(/FAULT/g)?.length]).toEqual([others.length, others.length]);
});

/** Ends a demo as Ctrl-C does, npm's second signal included, and gives its exit code. Ended otherwise it would leave its service behind. */
async function interrupt(demo: ChildServer): Promise<number | null> {
  demo.signal("SIGINT");
  demo.signal("SIGTERM");
  return (await demo.exited).code;
}

test.concurrent("an outcome that is not what it says is named, and makes the exit code 1; a service that is killed meanwhile comes back", async () => {
  const holder = createServer().listen(0, "127.0.0.1");
  await once(holder, "listening");
  const taken = String((holder.address() as AddressInfo).port);
  const directory = mkdtempSync(join(tmpdir(), "demo-test-"));
  const demo = new ChildServer({ PORT: taken, ORDER_TIMEOUT_MS: "40", TMPDIR: directory }, [process.execPath, DEMO]);
  let code: number | null = null;
  try {
    await eventually("the end of the tour", () => demo.stdout.includes("Ctrl-C stops it"));
    const [page = ""] = /http:\/\/127\.0\.0\.1:\d+\//.exec(demo.stdout) ?? [];
    // The answer may or may not make it out.
    await fetch(`${page}chaos/crash`, { method: "POST" }).catch(() => {});
    await eventually("the service to be back", () =>
      /was gone \(signal SIGKILL\)\. It is back .*no order was under way\. Ctrl-C stops it\./.test(demo.stdout),
    );
    expect((await fetch(page)).status).toBe(200);
  } finally {
    code = await interrupt(demo);
    holder.close();
    rmSync(directory, { recursive: true, force: true });
  }
  expect(code).toBe(1);
  expect(demo.stdout).toMatch(/FAULT: the answer's status is 50\d instead of 200\n/);
  expect(demo.stdout).toMatch(/Stopped\.\n$/);
  expect(demo.stderr).toBe("");
});

test.concurrent("Ctrl-C during the tour stops the service, and leaves no file behind", async () => {
  const directory = mkdtempSync(join(tmpdir(), "demo-test-"));
  try {
    const demo = new ChildServer({ TMPDIR: directory }, [process.execPath, DEMO]);
    await eventually("the first outcome", () => demo.stdout.includes("1. Placed"));
    expect(await interrupt(demo)).toBe(130);
    expect(demo.stdout).toMatch(/Stopped\.\n$/);
    expect(readdirSync(directory)).toEqual([]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
