// Six requests at one time, which have two seconds. Whatever has not been answered by then is hung up on, and the rest is used.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { openThreads } from "../../index.ts";
import type { tasks } from "./tasks.ts";

const hangUps: Promise<unknown>[] = [];
const server = createServer(({ url }, response) => {
  if (url?.startsWith("/slow")) hangUps.push(once(response, "close"));
  else if (url?.startsWith("/broken")) response.writeHead(500).end();
  else response.end(`this is ${url}`);
}).listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as AddressInfo;

const file = new URL("./tasks.ts", import.meta.url);
const threads = await openThreads<typeof tasks, never, { status: number }>({ file, exclusive: 0 });
const group = threads.group({ timeoutMs: 2_000 });
const paths = ["/fast/1", "/slow/2", "/fast/3", "/broken/4", "/slow/5", "/fast/6"];
for (const path of paths) group.run("get", `http://127.0.0.1:${port}${path}`);

const { outcomes } = await group.join();
for (const [n, outcome] of outcomes.entries()) {
  if (outcome.status === "ok") console.log(`${paths[n]}: ${outcome.value}`);
  else if (outcome.status === "failed") console.log(`${paths[n]}: failed with ${outcome.data?.status}`);
  else if (outcome.status === "canceled") console.log(`${paths[n]}: canceled, ${outcome.cause}`);
}
await Promise.all(hangUps);
console.log(`the server saw ${hangUps.length} of ${paths.length} requests hang up`);
await threads.close();
server.close();
