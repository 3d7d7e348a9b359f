import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, type TestContext, test } from "vitest";
import { closedLoop, peerUnder } from "../../load/lab/closed-loop.ts";

describe.concurrent("a closed loop", () => {
  const ANSWER_MS = 20;

  async function serverThat(
    answers: (n: number) => readonly [status: number, body: string],
    { onTestFinished }: TestContext,
  ): Promise<string> {
    let n = 0;
    const server = createServer((request, response) => {
      request.resume().once("end", () => {
        const [status, body] = answers(n++);
        // As fast as it could it would answer thousands.
        setTimeout(() => response.writeHead(status, { "content-length": body.length }).end(body), ANSWER_MS);
      });
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
  const RIGHT = [200, '{"status":"ok"}'] as const;
  const LOAD = { connections: 2, seconds: 1 };

  test("at a server whose answers are right gives rate and percentiles; of a server elsewhere no CPU is known", async (context) => {
    const variant = peerUnder(await serverThat(() => RIGHT, context), { ...LOAD, warmup: 1 });
    await using stack = new AsyncDisposableStack();
    const round = await variant.open({ stack, script: "", directory: "" });
    const { figures, latencyMs } = await round();
    expect(Object.keys(figures)).toEqual(["orders/s"]);
    expect(figures["orders/s"]?.[0]).toBeGreaterThan(10);
    expect(latencyMs?.map(([percentile]) => percentile)).toEqual([50, 90, 99, 99.9, 100]);
  });

  test.for([
    ["one wrong body", (n: number) => (n === 5 ? ([200, '{"status":"error"}'] as const) : RIGHT)],
    ["one connection without an answer", (n: number) => (n === 5 ? ([200, ""] as const) : RIGHT)],
  ] as const)("fails on %s", async ([, answers], context) => {
    const orderUrl = `${await serverThat(answers, context)}/order`;
    await expect(closedLoop({ orderUrl }, LOAD)).rejects.toThrow(/^1 of \d+ answers .* were wrong or missing$/);
  });
});
