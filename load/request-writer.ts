import type autocannon from "autocannon";

/** Takes the place of autocannon's own way to put a request together, which its types do not name. */
interface Client extends autocannon.Client {
  getRequestBuffer: () => Buffer;
}

/**
 * For autocannon's `setupClient`: makes a client send orders that differ in their id only. autocannon itself puts each request together from
 * all its parts, which is a third to two thirds of the client's CPU (docs/performance.md) and missing to a server on the same machine.
 */
export function writeOrders(
  url: string,
  order: Readonly<Record<string, unknown>>,
  nextId: () => string,
  keyed = false,
): (client: autocannon.Client) => void {
  const { host, pathname } = new URL(url);
  const head = `POST ${pathname} HTTP/1.1\r\nHost: ${host}\r\nConnection: keep-alive\r\nContent-Type: application/json\r\nContent-Length: `;
  const rest = JSON.stringify(order).slice(1);
  return (client) => {
    const { getRequestBuffer } = client as Client;
    if (typeof getRequestBuffer !== "function") throw new Error("this autocannon makes its requests in another way");
    (client as Client).getRequestBuffer = () => {
      const id = nextId();
      const key = keyed ? `\r\nIdempotency-Key: ${id}` : "";
      const body = `{"order_id":${JSON.stringify(id)}${rest === "}" ? "" : ","}${rest}`;
      return Buffer.from(`${head}${Buffer.byteLength(body)}${key}\r\n\r\n${body}`);
    };
  };
}
