import { expect, test } from "vitest";
import { discardBody } from "../../workers/providers/discard-body.ts";

const CHUNK = 16 * 1024;

test("takes an answer without a body", async () => {
  await discardBody(null);
});

test("reads a body to its end, so that its connection is free", async () => {
  let chunks = 3;
  let canceled = false;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => (chunks-- > 0 ? controller.enqueue(new Uint8Array(100)) : controller.close()),
    cancel() {
      canceled = true;
    },
  });
  await discardBody(body);
  expect(chunks).toBeLessThan(0);
  expect(canceled).toBe(false);
});

test("stops reading a body that pours without end", async () => {
  let pulled = 0;
  let canceled = false;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled += CHUNK;
      controller.enqueue(new Uint8Array(CHUNK));
    },
    cancel() {
      canceled = true;
    },
  });
  await discardBody(body);
  expect(canceled).toBe(true);
  expect(pulled).toBeLessThanOrEqual(64 * 1024 + 2 * CHUNK);
});

test("stops waiting for a body that trickles or says nothing more", async () => {
  let canceled = false;
  const startedAt = performance.now();
  await discardBody(
    new ReadableStream<Uint8Array>({
      cancel() {
        canceled = true;
      },
    }),
  );
  expect(canceled).toBe(true);
  expect(performance.now() - startedAt).toBeLessThan(1000);
});

test("takes a body that breaks off, and one whose cancel fails", async () => {
  await discardBody(new ReadableStream<Uint8Array>({ pull: () => Promise.reject(new Error("reset")) }));
  await discardBody(new ReadableStream<Uint8Array>({ cancel: () => Promise.reject(new Error("gone")) }));
});
