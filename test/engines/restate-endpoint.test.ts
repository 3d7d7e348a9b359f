import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:http2";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { expect, test } from "vitest";
import { readConfig } from "../../src/config.ts";
import { start } from "../../src/service.ts";
import { ChildServer } from "../support/child-server.ts";
import { orderOf, postOrder, send } from "../support/http-client.ts";
import { RestateTestEngine } from "./engines.ts";

const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

test("with an identity key the endpoint takes what the engine has signed, and nothing else", async () => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const directory = mkdtempSync(join(tmpdir(), "identity-"));
  const file = join(directory, "identity.pem");
  writeFileSync(file, privateKey.export({ type: "pkcs8", format: "pem" }));
  const raw = publicKey.export({ type: "spki", format: "der" }).subarray(-32);
  try {
    await using engine = await RestateTestEngine.start({ RESTATE_REQUEST_IDENTITY_PRIVATE_KEY_PEM_FILE: file });
    await using running = await engine.start({ RESTATE_IDENTITY_KEY: `publickeyv1_${base58(raw)}`, RESTATE_NODE_NAME: "node-a" });
    expect(await postOrder(running.port, orderOf("signed", 0))).toMatchObject({ status: 200 });
    const before = running.service.threads.totals().started;
    // One that the engine pauses would hold its object, and nobody would know.
    expect(await pausing(engine.server.adminUrl)).toEqual([]);
    for (const path of ["/discover", "/invoke/Order/attempt"]) {
      expect(await callUnsigned(running.service.endpointPort as number, path)).toBe(401);
    }
    expect(running.service.threads.totals().started).toBe(before);
    expect((await send(running.adminPort, { path: "/metrics" })).text).toContain('\nnode_info{node="node-a"} 1\n');
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("an endpoint that is not on loopback needs the key", async () => {
  const config = readConfig({
    ENGINE: "restate",
    RESTATE_INGRESS_URL: "http://127.0.0.1:9",
    RESTATE_ADMIN_URL: "http://127.0.0.1:9",
    RESTATE_ENDPOINT_HOST: "0.0.0.0",
  });
  await expect(start(config, pino({ level: "silent" }), { onFatal() {} })).rejects.toThrow(
    'RESTATE_ENDPOINT_HOST="0.0.0.0": is not on loopback, so it needs RESTATE_IDENTITY_KEY',
  );
});

test("an endpoint whose port is taken stops the start with one line that names the setting", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as { port: number };
  const settings = { ENGINE: "restate", RESTATE_INGRESS_URL: "http://127.0.0.1:9", RESTATE_ADMIN_URL: "http://127.0.0.1:9", JOURNAL: "" };
  await using server = new ChildServer({ ...settings, RESTATE_ENDPOINT_PORT: String(port) });
  expect(await server.exited).toMatchObject({ code: 1 });
  expect(server.stderr).toBe(`order-pipeline: RESTATE_ENDPOINT_PORT=${port}: cannot listen on 127.0.0.1 (EADDRINUSE)\n`);
  taken.close();
});

/** Handlers that the engine gives up, and pauses, after some tries. */
async function pausing(adminUrl: string): Promise<string[]> {
  type Retried = { name: string; retry_policy: { max_attempts?: number | null; on_max_attempts?: string } };
  const answer = await fetch(`${adminUrl}/services`);
  const { services } = (await answer.json()) as { services: (Retried & { handlers: Retried[] })[] };
  expect(services.length).toBeGreaterThan(5);
  return services.flatMap(({ name: object, retry_policy: ofObject, handlers }) =>
    handlers.flatMap(({ name, retry_policy }) => {
      const tries = retry_policy.max_attempts ?? ofObject.max_attempts ?? 0;
      const inTheEnd = retry_policy.on_max_attempts ?? ofObject.on_max_attempts;
      return tries >= 1e6 || inTheEnd === "Kill" ? [] : [`${object}.${name}`];
    }),
  );
}

/** The status of a call as the engine makes it, but for its signature. */
async function callUnsigned(port: number, path: string): Promise<number> {
  const session = connect(`http://127.0.0.1:${port}`);
  try {
    return await new Promise((resolve, reject) => {
      const headers = {
        "content-type": "application/vnd.restate.invocation.v5",
        accept: "application/vnd.restate.endpointmanifest.v1+json",
      };
      const stream = session.request({ ":method": path === "/discover" ? "GET" : "POST", ":path": path, ...headers });
      stream.once("response", ({ ":status": status }) => resolve(Number(status)));
      stream.once("error", reject);
      session.once("error", reject);
      stream.end();
    });
  } finally {
    session.destroy();
  }
}

/** As the engine prints its public key. */
function base58(bytes: Uint8Array): string {
  let number = BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
  let text = "";
  for (; number > 0n; number /= 58n) text = BASE58[Number(number % 58n)] + text;
  for (const byte of bytes) {
    if (byte !== 0) break;
    text = `1${text}`;
  }
  return text;
}
