import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { drive } from "../../load/drive.ts";
import { faultsOf, SCENARIOS, type Scenario } from "../../load/experiments/load.ts";

const TIMEOUT = [504, '{"error":{"kind":"timeout"}}'] as const;
const OVERLOADED = [503, '{"error":{"kind":"overloaded"}}'] as const;
const UNAVAILABLE = [503, '{"error":{"kind":"shutting_down"}}'] as const;

let answers: readonly (readonly [status: number, body: string])[] = [];
let count = 0;
const server = createServer((request, response) => {
  const [status, body] = answers[count++ % answers.length] ?? TIMEOUT;
  request.resume().once("end", () => response.writeHead(status).end(body));
});

beforeAll(async () => void (await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))));
afterAll(() => server.close());

const deadline = SCENARIOS["no order is done in time"];
const steady = SCENARIOS["every order succeeds"];

async function faults(scenario: Scenario, ...given: (readonly [number, string])[]): Promise<string[]> {
  answers = given;
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/order`;
  const load = await drive({ url, connections: 4, seconds: 1, ...scenario });
  return faultsOf(scenario, load).map((fault) => fault.replace(/\d+ answers/, "N answers"));
}

test("orders past their deadline are right, also where some are refused for it", async () => {
  expect(await faults(deadline, TIMEOUT)).toEqual([]);
  expect(await faults(deadline, TIMEOUT, OVERLOADED)).toEqual([]);
});

test("nothing but refusals, a refusal of another kind, or one where none is due is a fault", async () => {
  expect(await faults(deadline, OVERLOADED)).toEqual(["no answer with status 504"]);
  const unlike = ["N answers with status 503 instead of 504", 'N answers without "kind":"timeout"'];
  expect(await faults(deadline, TIMEOUT, OVERLOADED, UNAVAILABLE)).toEqual(unlike);
  expect(await faults(steady, [200, '{"status":"ok"}'], OVERLOADED)).toEqual([
    "N answers with status 503 instead of 200",
    'N answers without "status":"ok"',
  ]);
});
