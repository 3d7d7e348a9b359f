import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { discardBody } from "../../src/resilience/post.ts";

const CHUNK = 16 * 1024;
const BODY_LIMITS = { maxBytes: 64 * 1024, maxMs: 100 };

test("a body is read to its end, so that its connection is free", async () => {
  let chunks = 3;
  const body = new Readable({
    read() {
      this.push(chunks-- > 0 ? Buffer.alloc(100) : null);
    },
  });
  await discardBody(body, BODY_LIMITS);
  expect(body.readableEnded).toBe(true);
});

test("stops reading a body that pours without end", async () => {
  let pulled = 0;
  const body = new Readable({
    read() {
      pulled += CHUNK;
      this.push(Buffer.alloc(CHUNK));
    },
  });
  await discardBody(body, BODY_LIMITS);
  expect(body.destroyed).toBe(true);
  expect(body.readableEnded).toBe(false);
  expect(pulled).toBeLessThanOrEqual(BODY_LIMITS.maxBytes + 10 * CHUNK);
});

test("stops waiting for a body that trickles or says nothing more", async () => {
  const body = new Readable({ read() {} });
  await discardBody(body, BODY_LIMITS);
  expect(body.destroyed).toBe(true);
});

test("without a limit of time waits for a body that trickles", async () => {
  const body = new Readable({ read() {} });
  let done = false;
  const discarding = discardBody(body, { maxBytes: 10 }).then(() => {
    done = true;
  });
  // Longer than the limit of time above, which this one does not have.
  await discardBody(new Readable({ read() {} }), BODY_LIMITS);
  expect(done).toBe(false);
  body.push("late");
  body.push(null);
  await discarding;
  expect(body.readableEnded).toBe(true);
});
