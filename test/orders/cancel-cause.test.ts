import { expect, test } from "vitest";
import { CANCEL_CAUSES, ORDER_CAUSES, orderCause } from "../../src/orders/cancel-cause.ts";
import { BUILT_IN_CAUSES } from "../../src/threads/index.ts";

test("whatever the threads cancel for, an order answers with one of its four causes", () => {
  const answered = Object.fromEntries([...BUILT_IN_CAUSES, ...ORDER_CAUSES].map((cause) => [cause, orderCause(cause)]));
  expect(answered).toEqual({
    sibling_failed: "sibling_failed",
    deadline: "deadline",
    aborted: "shutdown",
    closed: "shutdown",
    client_disconnected: "client_disconnected",
    shutdown: "shutdown",
  });
  expect(new Set(Object.values(answered))).toEqual(new Set(CANCEL_CAUSES));
});
