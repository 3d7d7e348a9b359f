import fc from "fast-check";
import { Webhook } from "standardwebhooks";
import { expect, test } from "vitest";
import { parseWebhookSecret } from "../../src/webhooks/secret.ts";
import { signatureHeaders } from "../../src/webhooks/sign.ts";
import { newSecret } from "./fixture.ts";

function sign(id: string, body: string, secrets: readonly string[], nowMs: number) {
  const keys = secrets.map((secret) => parseWebhookSecret(secret)).filter((key) => key !== undefined);
  expect(keys).toHaveLength(secrets.length);
  return signatureHeaders(id, Buffer.from(body), keys, nowMs);
}

test("the example of the reference library", () => {
  const headers = sign(
    "msg_p5jXN8AQM9LWM0D4loKWxJek",
    '{"test": 2432232314}',
    ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    1_614_265_330_999,
  );
  expect(headers).toEqual({
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  });
});

test("any body, under each of several secrets", () => {
  fc.assert(
    fc.property(fc.json(), fc.string({ unit: "grapheme" }), (json, text) => {
      const secrets = [newSecret(24), newSecret(64)];
      const body = JSON.stringify({ json, text });
      const headers = { ...sign("evt_1", body, secrets, Date.now()) };
      expect(headers["webhook-signature"].split(" ")).toHaveLength(2);
      for (const secret of secrets) expect(new Webhook(secret).verify(body, headers)).toEqual(JSON.parse(body));
      expect(() => new Webhook(newSecret()).verify(body, headers)).toThrow("No matching signature");
    }),
    { numRuns: 50 },
  );
});
