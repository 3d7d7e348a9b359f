import { describe, expect, test } from "vitest";
import type { SpanData } from "../../src/orders/span-data.ts";
import { STEPS } from "../../src/orders/steps.ts";
import { SpanQueue } from "../../src/telemetry/span-queue.ts";
import { eventually } from "../support/eventually.ts";
import { Exposition } from "../support/exposition.ts";
import { newId, orderOf, postOrder, send } from "../support/http-client.ts";
import { startService } from "../support/service.ts";
import { Collector } from "./collector.ts";

const OUT_OF_REACH = "http://127.0.0.1:1/secret-in-the-path";

/** An order without provider calls has one span, and one for each step. */
const SPANS = 1 + STEPS.length;

const span = { name: "x" } as SpanData;
const spans = (count: number) => Array.from({ length: count }, () => span);

describe("spans on their way", () => {
  test("go in batches, one after the other, and past the bound they are dropped and counted", async () => {
    const batches: number[] = [];
    let arrive: () => void = () => {};
    const queue = new SpanQueue({
      send: (batch) => {
        batches.push(batch.length);
        return new Promise((resolve) => (arrive = resolve));
      },
      onDown: () => {},
    });
    queue.add(spans(10_000));
    // The first batch is on its way, and the rest waits for it.
    expect([batches, queue.size, queue.dropped]).toEqual([[128], 8_064, 1_808]);
    arrive();
    await eventually("the next batch", () => batches.length === 2);
    expect([batches, queue.size]).toEqual([[128, 128], 7_936]);
    const closed = queue.close(600_000);
    queue.add(spans(1));
    expect(queue.dropped).toBe(1_809);
    await eventually("the last batch", () => {
      arrive();
      return batches.length === 64;
    });
    arrive();
    await closed;
    expect([batches.reduce((sum, size) => sum + size), queue.size, queue.dropped]).toEqual([8_192, 0, 1_809]);
  });

  test("wait for others to travel with, and not for long", async () => {
    const batches: number[] = [];
    const queue = new SpanQueue({ send: async (batch) => void batches.push(batch.length), onDown: () => {}, delayMs: 5 });
    queue.add(spans(1));
    queue.add(spans(2));
    expect(batches).toEqual([]);
    await eventually("them to go", () => batches.length === 1);
    expect([batches, queue.dropped]).toEqual([[3], 0]);
  });

  test("that came while a slow collector had a batch go as soon as it has taken it, however few they are", async () => {
    const batches: number[] = [];
    const taken = Promise.withResolvers<void>();
    const send = (batch: readonly SpanData[]) => (batches.push(batch.length) === 1 ? taken.promise : Promise.resolve());
    const queue = new SpanQueue({ send, onDown: () => {}, delayMs: 5 });
    queue.add(spans(1));
    await eventually("the first batch", () => batches.length === 1);
    queue.add(spans(2));
    // Set later and for longer than the queue's own timer, so it fires after that.
    await new Promise((resolve) => setTimeout(resolve, 10));
    taken.resolve();
    await eventually("the others", () => batches.length === 2);
    expect([batches, queue.size]).toEqual([[1, 2], 0]);
  });

  test("a collector that is down is reported once, and once when it is back", async () => {
    let works = false;
    const reported: unknown[] = [];
    const queue = new SpanQueue({
      send: () => (works ? Promise.resolve() : Promise.reject(new Error("down"))),
      onDown: (down) => reported.push(down),
    });
    for (let n = 1; n <= 3; n++) {
      queue.add(spans(128));
      await eventually("the batch to be lost", () => queue.dropped === n * 128);
    }
    works = true;
    queue.add(spans(128));
    await eventually("the batch to arrive", () => reported.length === 2);
    expect([reported, queue.dropped, queue.size]).toEqual([[true, false], 384, 0]);
  });

  test("a collector that takes them too slowly is reported once, and once when nothing of what waited is left", async () => {
    let arrive: () => void = () => {};
    const reported: unknown[] = [];
    const queue = new SpanQueue({
      send: () => new Promise((resolve) => (arrive = resolve)),
      onDown: (...what) => reported.push(what),
    });
    // One batch is under way, and as many wait as may.
    queue.add(spans(128));
    queue.add(spans(8_192));
    expect([reported, queue.dropped]).toEqual([[], 0]);
    for (const dropped of [1, 2]) {
      queue.add(spans(1));
      expect([reported, queue.dropped]).toEqual([[[true, undefined]], dropped]);
    }
    // It is a slow one, and not one that is down: a close still sends what waits.
    const closed = queue.close(600_000);
    while (queue.size > 0) {
      expect(reported).toHaveLength(1);
      const before = queue.size;
      arrive();
      await eventually("the next batch", () => queue.size < before);
    }
    arrive();
    await closed;
    expect([reported, queue.dropped]).toEqual([
      [
        [true, undefined],
        [false, undefined],
      ],
      2,
    ]);
  });

  test("a close is bounded, whatever the collector does, and tries a collector that is down once", async () => {
    let answer: () => void = () => {};
    const hanging = new SpanQueue({ send: () => new Promise((resolve) => (answer = resolve)), onDown: () => {} });
    hanging.add(spans(300));
    expect(await hanging.close(1)).toBe(300);
    // An answer that comes afterwards changes nothing, and starts nothing.
    answer();
    await new Promise(setImmediate);
    expect([hanging.size, hanging.dropped]).toEqual([0, 300]);
    let asked = 0;
    const down = new SpanQueue({
      send: () => {
        asked++;
        return Promise.reject(new Error("down"));
      },
      onDown: () => {},
    });
    down.add(spans(100));
    expect(await down.close(600_000)).toBe(0);
    expect([asked, down.dropped]).toEqual([1, 100]);
  });
});

describe("a collector in trouble costs spans and no order", () => {
  test("out of reach: one line, which says nothing of the address but what it is", async () => {
    await using server = await startService({ THREADS: "1", CPU_THREADS: "1", OTEL_EXPORTER_OTLP_ENDPOINT: OUT_OF_REACH });
    for (let n = 0; n < 3; n++) expect((await postOrder(server.port, orderOf(newId("blind"), 0))).status).toBe(200);
    await server.stop();
    // The exporter still tries when the service stops.
    const lines = server.logged.filter(({ msg }) => msg.includes("collector"));
    expect(lines).toMatchObject([{ level: 40, msg: expect.stringMatching(/^spans are lost: /) }]);
    expect(JSON.stringify(lines)).not.toContain("secret");
  });

  test("that refuses them: they are counted, and taken again when it takes them", async () => {
    await using collector = await Collector.start();
    collector.status = 400;
    await using server = await startService({ THREADS: "1", CPU_THREADS: "1", OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint });
    const dropped = async () => new Exposition((await send(server.adminPort, { path: "/metrics" })).text).value("spans_dropped_total");
    for (let n = 1; n <= 2; n++) {
      expect((await postOrder(server.port, orderOf(newId("refused"), 0))).status).toBe(200);
      await eventually("the spans to be given up", dropped, (count) => count === n * SPANS);
    }
    collector.status = 200;
    await postOrder(server.port, orderOf(newId("taken"), 0));
    await eventually("the spans to arrive", () => collector.spans.length === SPANS);
    await eventually("the line", () => server.logged.at(-1)?.msg === "the collector takes spans again");
    // A stop sends what waits.
    await postOrder(server.port, orderOf(newId("last"), 0));
    await server.stop();
    expect(collector.spans.length).toBe(2 * SPANS);
    expect(server.logged.filter(({ msg }) => msg.includes("collector"))).toMatchObject([
      { level: 40 },
      { level: 30, spans_dropped: 2 * SPANS },
    ]);
  });
});
