import { afterEach, expect, test, vi } from "vitest";
import { Journal } from "../../src/journal/journal.ts";
import { JournalUnavailable } from "../../src/orders/order-journal.ts";
import { eventually } from "../support/eventually.ts";
import { orderOf, postOrder } from "../support/http-client.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { startService } from "../support/service.ts";

afterEach(() => void vi.restoreAllMocks());

/** The journal refuses the outcome of one order until it is mended. */
function refuse(orderId: string): { count: () => number; mend: () => void } {
  const { finish } = Journal.prototype;
  let count = 0;
  let isMended = false;
  const mend = () => {
    isMended = true;
  };
  vi.spyOn(Journal.prototype, "finish").mockImplementation(async function (this: Journal, request) {
    if (request.orderId !== orderId || isMended) return finish.call(this, request);
    count++;
    throw new JournalUnavailable("the disk is full");
  });
  return { count: () => count, mend };
}

const requestOf = (orderId: string, ms: number): string => {
  const body = JSON.stringify(orderOf(orderId, ms));
  return `POST /order HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
};

test("an answer that cannot be stored closes its connection, after the answers before it and without a word of its own", async () => {
  await using running = await startService({ ORDER_TIMEOUT_MS: "60000" });
  const refused = refuse("lost");
  using connection = await RawConnection.open(running.port);
  using other = await RawConnection.open(running.port);
  await other.write(requestOf("other", 300));
  // Pipelined: the one in the middle has ended when the first is answered.
  await connection.write(requestOf("first", 300) + requestOf("lost", 0) + requestOf("third", 60_000));
  const answers = await connection.answersToTheEnd();
  expect(answers.map(({ status, body }) => [status, JSON.parse(body).order_id])).toEqual([[200, "first"]]);
  expect(refused.count()).toBeGreaterThan(0);
  // Nobody waits for the third any more. The lost one counts until it is stored.
  await eventually("the third to be canceled", () => running.service.orderService.inFlight === 1);
  await other.until(/"order_id":"other"/);
  expect(other.closed).toBe(false);
  refused.mend();
  expect(await postOrder(running.port, orderOf("lost", 0))).toMatchObject({ status: 200, headers: { "idempotent-replayed": "true" } });
  expect(running.logged.filter(({ msg }) => msg.includes("gets no answer"))).toMatchObject([{ level: 50, order_id: "lost" }]);
});

test("a client that was not answered and has gone is no fault, and its order is stored all the same", async () => {
  await using running = await startService();
  const refused = refuse("lost");
  const client = new AbortController();
  const gone = postOrder(running.port, orderOf("lost", 60_000), { signal: client.signal }).catch(() => "gone");
  await eventually("the order to run", () => running.service.threads.totals().running > 0);
  client.abort();
  expect(await gone).toBe("gone");
  await eventually("the journal to refuse", () => refused.count() > 0);
  refused.mend();
  await eventually("the order to be stored", () => running.service.orderService.inFlight === 0);
  const { json } = await postOrder(running.port, orderOf("lost", 0));
  expect(json.status).toBe("ok");
});
