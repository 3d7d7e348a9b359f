import type { AddressInfo } from "node:net";
import express from "express";
import { STEPS } from "../../src/orders/steps.ts";

/** What Express alone can do: parses the same body and answers the same JSON, with nothing in between. */
const app = express();
app.post("/order", express.json(), (request, response) => {
  const steps = STEPS.map((name) => ({ name, status: "ok", duration_ms: 0 }));
  response.json({ status: "ok", order_id: request.body.order_id, steps });
});
const server = app.listen(0, "127.0.0.1", () => {
  process.stdout.write(`bare Express on ${(server.address() as AddressInfo).port}\n`);
});
process.once("SIGTERM", () => process.exit(0));
