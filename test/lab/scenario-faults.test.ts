import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { drive } from "../../load/drive.ts";
import { faultsOf, SCENARIOS, type Scenario } from "../../load/experiments/load.ts";

const TIMEOUT = [504, '{"error":{"kind":"timeout"}}'] as const;
const OVERLOADED = [503, '{"error":{"kind":"overloaded"}}'] as const;
const UNAVAILABLE = [503, '{"error":{"kind":"shutting_down"}}'] as const;
// As fast as it could it would answer thousands.
const ANSWER_MS = 20;

const deadline = SCENARIOS["no order is done in time"];
const steady = SCENARIOS["every order succeeds"];

async function faults(scenario: Scenario, ...answers: (readonly [status: number, body: string])[]): Promise<string[]> {
  let count = 0;
  await using server = createServer((request, response) => {
    const [status, body] = answers[count++ % answers.length] ?? TIMEOUT;
    request.resume().once("end", () => setTimeout(() => response.writeHead(status).end(body), ANSWER_MS));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/order`;
  const load = await drive({ url, connections: 4, seconds: 1, ...scenario });
  return faultsOf(scenario, load).map((fault) => fault.replace(/\d+ answers/, "N answers"));
}

test.concurrent("orders past their deadline are right, also where some are refused for it", async () => {
  expect(await Promise.all([faults(deadline, TIMEOUT), faults(deadline, TIMEOUT, OVERLOADED)])).toEqual([[], []]);
});

test.concurrent("nothing but refusals, a refusal of another kind, or one where none is due is a fault", async () => {
  expect(
    await Promise.all([
      faults(deadline, OVERLOADED),
      faults(deadline, TIMEOUT, OVERLOADED, UNAVAILABLE),
      faults(steady, [200, '{"status":"ok"}'], OVERLOADED),
    ]),
  ).toEqual([
    ["no answer with status 504"],
    ["N answers with status 503 instead of 504", 'N answers without "kind":"timeout"'],
    ["N answers with status 503 instead of 200", 'N answers without "status":"ok"'],
  ]);
});
