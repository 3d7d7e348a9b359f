import { expect, test } from "vitest";
import { startStandIn } from "../../load/stand-in/stand-in.ts";
import { eventually } from "../support/eventually.ts";
import { postOrder } from "../support/http-client.ts";
import { startService } from "../support/service.ts";

// A gateway says "key in use" (409), "too slow" (408), "too early" (425) or "see there" (303) of a charge that was made.
test.each([409, 408, 425, 303])("a payment that was charged and then answered with %i is refunded", async (status) => {
  const standIn = await startStandIn({
    faultModeOf: ({ step, action }) => (step === "payment" && action === "perform" ? { type: "failAfter", status } : undefined),
  });
  const service = await startService({ PAYMENT_URL: standIn.url });
  try {
    const answer = await postOrder(service.port, { order_id: "charged", amount: 1200 });
    await eventually("the refund", () => standIn.ledger.find("payment", "charged:1:payment")?.compensated.length === 1);
    expect(standIn.ledger.snapshot().counts).toMatchObject({ charges: 1, refunds: 1 });
    expect(answer.status).toBe(503);
    expect(answer.json.error).toEqual({ kind: "payment_unavailable", message: "order failed" });
  } finally {
    await service.stop();
    await standIn.close();
  }
});
