import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Received, send } from "../../support/http-client.ts";
import type { RestateServer } from "../../support/restate-server.ts";
import { startService, type TestService } from "../../support/service.ts";

export const SECRET = `whsec_${randomBytes(32).toString("base64")}`;

/** A node of the service on an engine, which calls it. */
export interface Node extends AsyncDisposable {
  readonly running: TestService;
  get(path: string): Promise<Received>;
  post(path: string, body?: unknown): Promise<Received>;
}

/** Starts a node and makes it the one that the engine calls. */
export async function startNode(engine: RestateServer, overlay: Readonly<Record<string, string>> = {}): Promise<Node> {
  const directory = mkdtempSync(join(tmpdir(), "node-"));
  const secretFile = join(directory, "secret");
  writeFileSync(secretFile, SECRET);
  const running = await startService({
    THREADS: "1",
    CPU_THREADS: "1",
    ENGINE: "restate",
    // Which means nothing here, so it must be absent.
    JOURNAL: "",
    RESTATE_INGRESS_URL: engine.ingressUrl,
    RESTATE_ADMIN_URL: engine.adminUrl,
    RESTATE_ENDPOINT_PORT: "0",
    ...(overlay.WEBHOOK_URL !== undefined && { WEBHOOK_SECRET_FILE: secretFile }),
    ...overlay,
  });
  const { endpointPort } = running.service;
  await engine.register(`http://127.0.0.1:${endpointPort}`);
  return {
    running,
    get: (path) => send(running.adminPort, { path }),
    post: (path, body) => send(running.adminPort, { method: "POST", path, body }),
    async [Symbol.asyncDispose]() {
      await running.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
