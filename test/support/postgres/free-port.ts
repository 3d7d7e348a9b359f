import { createServer } from "node:net";

// Below those that Linux gives to clients and to listeners on port 0, so that none of them takes a server's port while it is down.
const PORTS = { from: 20_000, to: 32_000 };

/** A port of 127.0.0.1 on which nothing listens at this moment. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.from + Math.floor(Math.random() * (PORTS.to - PORTS.from));
    const holder = createServer();
    const isFree = await new Promise((resolve) => {
      holder.once("error", () => resolve(false)).listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => holder.close(resolve));
    return port;
  }
}
