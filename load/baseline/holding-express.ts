import type { AddressInfo } from "node:net";
import express, { type Response } from "express";

/** What it costs Express alone to hold a request: parses the body and, unless it asks for no delay, never answers. */
const held = new Set<Response>();
const app = express();
app.post("/order", express.json(), (request, response) => {
  if (request.body.delay_ms.payment === 0) {
    response.json({ status: "ok", order_id: request.body.order_id });
    return;
  }
  held.add(response);
  response.once("close", () => held.delete(response));
});
app.get("/held", (_request, response) => void response.json(held.size));
const server = app.listen(0, "127.0.0.1", () => {
  process.stdout.write(`holding Express on ${(server.address() as AddressInfo).port}\n`);
});
process.once("SIGTERM", () => process.exit(0));
