import { expect, test } from "vitest";
import { StuckThreads } from "../../src/admin/chaos-routes.ts";
import type { StepRunner } from "../../src/orders/step-runner.ts";

test("a thread that cannot be stuck now does not spoil later tries", async () => {
  let full = true;
  const begun = new SharedArrayBuffer(4);
  const runner: StepRunner = {
    open() {
      if (full) throw new Error("the board is full");
      return {
        cause: undefined,
        async run() {
          Atomics.add(new Int32Array(begun), 0, 1);
          Atomics.notify(new Int32Array(begun), 0);
          return { outcome: { status: "canceled", cause: "shutdown", effect: "none" }, endedAtMs: 0 };
        },
        close() {},
      };
    },
  };
  const sticking = new StuckThreads(runner, begun);
  await expect(sticking.stick(5)).rejects.toThrow("the board is full");
  full = false;
  expect(await sticking.stick(5)).toBe(true);
});
