import { type Listener, listen } from "../../src/http/listener.ts";

/** An admin listener with one app and nothing else, on a port of its own. */
export function listenPlainly(app: Parameters<typeof listen>[0]["app"]): Promise<Listener> {
  return listen({
    name: "ADMIN_PORT",
    host: "127.0.0.1",
    port: 0,
    app,
    anyNameFromOutside: false,
    allowedHosts: [],
    onFault: () => {},
    keepAliveTimeoutMs: 5_000,
    headersTimeoutMs: 5_000,
    requestTimeoutMs: 5_000,
    limits: { max: 100 },
  });
}
