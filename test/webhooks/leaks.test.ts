import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { CancelScope } from "../../src/threads/index.ts";
import { Fixture } from "./fixture.ts";

const STOPPED_MIDWAY = fileURLToPath(new URL("stopped-midway.ts", import.meta.url));

test("stop leaves no timer, socket or handle, and a process that has nothing else to do ends", async () => {
  // Exits by itself, or is killed by the timeout and fails here.
  const { stdout } = await promisify(execFile)(process.execPath, [STOPPED_MIDWAY], { timeout: 20_000 });
  const { before, during, after } = JSON.parse(stdout);
  expect(during).toContain("Timeout");
  expect(during).toContain("TCPSocketWrap");
  expect(after).toEqual(before);
});

test("requests leave nothing behind on the scope they are linked to", async () => {
  await using fixture = await Fixture.open();
  for (let index = 0; index < 500; index++) fixture.add(`order ${index % 100}`);
  const original = CancelScope.prototype.onCancel;
  let subscribed = 0;
  let most = 0;
  CancelScope.prototype.onCancel = function (this: CancelScope, listener) {
    const subscription = original.call(this, listener);
    let left = false;
    most = Math.max(most, ++subscribed);
    const unsubscribe = () => {
      if (!left) subscribed--;
      left = true;
      subscription.unsubscribe();
    };
    return { unsubscribe };
  };
  try {
    fixture.delivery.start();
    await fixture.delivered();
    await fixture.quiet();
  } finally {
    CancelScope.prototype.onCancel = original;
  }
  expect(most).toBeGreaterThan(0);
  expect(subscribed).toBe(0);
});
