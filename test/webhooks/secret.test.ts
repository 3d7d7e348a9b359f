import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import fc from "fast-check";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SecretFileError } from "../../src/secret-file.ts";
import { parseWebhookSecret, readWebhookSecrets } from "../../src/webhooks/secret.ts";
import { signatureHeaders } from "../../src/webhooks/sign.ts";
import { newSecret } from "./fixture.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "secrets-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function read(text: string) {
  const file = join(folder, "secrets");
  await writeFile(file, text);
  return readWebhookSecrets(file);
}

const RULE = "must be whsec_ followed by the base64 of 24 to 64 bytes";
const secretOf = (bytes: Uint8Array) => `whsec_${Buffer.from(bytes).toString("base64")}`;

test.each([24, 25, 26, 32, 64])("%d bytes are a secret", async (length) => {
  const bytes = randomBytes(length);
  const [secret] = await read(`${secretOf(bytes)}\n`);
  expect(secret?.export()).toEqual(bytes);
});

test("several lines, blank ones, comments and Windows line ends", async () => {
  const [first, second] = [randomBytes(24), randomBytes(32)];
  const secrets = await read(`# new\r\n${secretOf(first)}\r\n\r\n  # until May\n  ${secretOf(second)}  \n`);
  expect(secrets.map((secret) => secret.export())).toEqual([first, second]);
});

test("a secret shows nothing of itself when it is printed", async () => {
  const bytes = randomBytes(24);
  const [secret] = await read(secretOf(bytes));
  expect(inspect(secret) + JSON.stringify(secret)).not.toContain(bytes.toString("base64"));
});

describe("refused", () => {
  const good = secretOf(randomBytes(32));
  test.each([
    ["too short", secretOf(randomBytes(23))],
    ["too long", secretOf(randomBytes(65))],
    ["without the prefix", good.slice("whsec_".length)],
    ["another prefix", good.replace("whsec_", "whpk_")],
    ["without its padding", good.replace(/=+$/, "")],
    ["not base64", `${good.slice(0, 12)}*${good.slice(13)}`],
    ["base64url", secretOf(Buffer.alloc(32, 0xff)).replaceAll("/", "_")],
    ["two on a line", `${good} ${good}`],
    ["the prefix alone", "whsec_"],
  ])("%s", async (_name, line) => {
    const error: Error = await read(`# one\n\n${line}\n${good}\n`).then(
      () => expect.unreachable(),
      (reason: Error) => reason,
    );
    expect(error).toBeInstanceOf(SecretFileError);
    expect(error.message).toBe(`WEBHOOK_SECRET_FILE="${join(folder, "secrets")}": line 3 ${RULE}`);
  });

  test("a file without a secret", async () => {
    await expect(read("# nothing yet\n\n")).rejects.toThrow(
      `WEBHOOK_SECRET_FILE="${join(folder, "secrets")}": has nothing but comments: a line ${RULE}`,
    );
  });

  test.each(["none", good])("no such file, whose name may be the secret itself: %s", async (name) => {
    const expected = new SecretFileError("WEBHOOK_SECRET_FILE: its file cannot be read (ENOENT)");
    await expect(readWebhookSecrets(join(folder, name.replaceAll("/", "_")))).rejects.toThrow(expected);
  });
});

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
