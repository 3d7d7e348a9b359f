import type { AddressInfo } from "node:net";
import express, { type Response } from "express";
import { STEPS } from "../../src/orders/steps.ts";

/**
 * What Express alone can do: parses the same body and answers the same JSON, with nothing in between. With the argument `hold` it answers
 * no order with a delay, and `GET /held` says how many it holds.
 */
const app = express();
const held = new Set<Response>();
if (process.argv[2] === "hold") {
  app.post("/order", express.json(), (request, response, next) => {
    if (request.body.delay_ms.payment === 0) return next();
    held.add(response);
    response.once("close", () => held.delete(response));
  });
  app.get("/held", (_request, response) => void response.json(held.size));
}
app.post("/order", express.json(), (request, response) => {
  const steps = STEPS.map((name) => ({ name, status: "ok", duration_ms: 0 }));
  response.json({ status: "ok", order_id: request.body.order_id, steps });
});
const server = app.listen(0, "127.0.0.1", () => {
  process.stdout.write(`bare Express on ${(server.address() as AddressInfo).port}\n`);
});
process.once("SIGTERM", () => process.exit(0));
